// What forward and backward attention share: pairs in tiles, their spherical harmonics, the hidden units of spherical
// filters and the polynomials between the knots of radial ones.
#pragma once

#include "cpu/so3krates_multiply.h"
#include "math/spherical_harmonics.h"

namespace panna_plus::PANNA_ISA {

/// Pairs of a tile; their arrays are readable up to a whole tile.
constexpr int tile_pairs = 16;
constexpr int n_hermite = 6;

/// The pairs of one tile.
template <class T>
struct Tile {
  std::int64_t begin;
  int n;
  const std::int32_t *first, *second;
  const std::uint8_t *is_shared;

  Tile(const PairsView<T> &pairs, std::int64_t begin_, std::int64_t end)
      : begin(begin_),
        n(end - begin_ < tile_pairs ? static_cast<int>(end - begin_) : tile_pairs),
        first(pairs.first + begin_),
        second(pairs.second + begin_),
        is_shared(pairs.is_shared + begin_) {}
};

/// Row of the projections of an atom.
template <class T>
PANNA_HD std::int64_t projected_row(const AttentionView<T> &view, std::int32_t row) {
  return view.source ? view.source[row] : row;
}

/// Y (tile_pairs, components) of a tile.
template <class T>
void fill_harmonics(const ShapeView<T> &shape, const PairsView<T> &pairs, const Tile<T> &tile, T *harmonics) {
  using V = Pack<T>;
  constexpr int W = V::width;
  for (int p = 0; p < tile_pairs; p += W) {
    const std::int64_t k = tile.begin + p;
    const math::Vector3<V> unit{V::load(pairs.x + k), V::load(pairs.y + k), V::load(pairs.z + k)};
    int m = 0;
    for (int d = 0; d < shape.n_degrees; ++d) {
      V values[2 * math::highest_degree + 1];
      math::spherical_harmonics(shape.degrees[d], unit, values);
      for (int c = 0; c < 2 * shape.degrees[d] + 1; ++c, ++m) {
        T lanes[W];
        values[c].store(lanes);
        for (int lane = 0; lane < W; ++lane) harmonics[(p + lane) * shape.components + m] = lanes[lane];
      }
    }
  }
  for (int p = 0; p < tile_pairs; ++p) {
    for (int m = shape.n_components; m < shape.components; ++m) harmonics[p * shape.components + m] = T(0);
  }
}

/// The polynomials in t that take value, slope and curvature at 0, then at 1: (n_hermite, tile_pairs). With `slopes`
/// their derivatives with respect to the distance.
template <class T>
void fill_hermite(const ShapeView<T> &shape, const PairsView<T> &pairs, const Tile<T> &tile, T *values, T *slopes) {
  using V = Pack<T>;
  const V one(1), half(0.5);
  for (int p = 0; p < tile_pairs; p += V::width) {
    const V t = V::load(pairs.fraction + tile.begin + p), t2 = t * t, t3 = t2 * t, s = one - t;
    const V rise = t3 * (V(10) + t * (V(6) * t - V(15)));
    const V polynomials[n_hermite] = {one - rise,
                                      t + t3 * (t * (V(8) - V(3) * t) - V(6)),
                                      half * t2 * s * s * s,
                                      rise,
                                      t3 * (t * (V(7) - V(3) * t) - V(4)),
                                      half * t3 * s * s};
    for (int h = 0; h < n_hermite; ++h) polynomials[h].store(values + h * tile_pairs + p);
    if (!slopes) continue;
    const V scale(shape.inverse_spacing), steep = V(30) * t2 * s * s;
    const V derivatives[n_hermite] = {-steep,
                                      one + t2 * (t * (V(32) - V(15) * t) - V(18)),
                                      half * t * s * s * (V(2) - V(5) * t),
                                      steep,
                                      t2 * (t * (V(28) - V(15) * t) - V(12)),
                                      half * t2 * s * (V(3) - V(5) * t)};
    for (int h = 0; h < n_hermite; ++h) (scale * derivatives[h]).store(slopes + h * tile_pairs + p);
  }
}

/// sum_h polynomial_h table_h for one pack of channels; `row` points to them at the knot below.
template <class T>
PANNA_HD Pack<T> interpolated(const T *row, std::ptrdiff_t width, const Pack<T> (&polynomials)[n_hermite]) {
  Pack<T> sum = polynomials[0] * Pack<T>::load(row);
#pragma GCC unroll 5
  for (int h = 1; h < n_hermite; ++h) sum += polynomials[h] * Pack<T>::load(row + h * width);
  return sum;
}

template <class T>
PANNA_HD void take_polynomials(const T *all, int pair, Pack<T> (&polynomials)[n_hermite]) {
#pragma GCC unroll 6
  for (int h = 0; h < n_hermite; ++h) polynomials[h] = Pack<T>(all[h * tile_pairs + pair]);
}

/// Hidden units of the spherical filters of a tile.
template <class T>
struct SphericalHidden {
  T *differences;  // (tile_pairs, components) v_j - v_i
  T *hidden;       // (tile_pairs, 2 narrow)
  T *slopes;       // (tile_pairs, 2 narrow), of the activation
};

template <class T>
SphericalHidden<T> spherical_hidden(const So3kratesLayerView<T> &layer, const Tile<T> &tile, const T *v,
                                    Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const ShapeView<T> &shape = *layer.shape;
  const int width = shape.components, n_hidden = 2 * shape.narrow;
  const SphericalHidden<T> out{scratch.take(tile_pairs * width), scratch.take(tile_pairs * n_hidden),
                               scratch.take(tile_pairs * n_hidden)};
  Scratch<T> rest = scratch;
  T *const squares = rest.take(tile_pairs * width);
  const int padded = shape.invariants.forward.padded;
  T *const invariants = rest.take(tile_pairs * padded);
  for (int e = 0; e < tile.n; ++e) {
    const T *v_i = v + std::int64_t(tile.first[e]) * width, *v_j = v + std::int64_t(tile.second[e]) * width;
    for (int m = 0; m < width; m += W) {
      const V difference = V::load(v_j + m) - V::load(v_i + m);
      difference.store(out.differences + e * width + m);
      (difference * difference).store(squares + e * width + m);
    }
  }
  multiply(shape.invariants.forward, tile.n, squares, width, invariants, padded);
  multiply(layer.spherical_inner.forward, tile.n, invariants, padded, out.hidden, n_hidden);
  for (int k = 0; k < tile.n * n_hidden; k += W) {
    const ValueAndSlope<T> result = silu(V::load(out.hidden + k));
    result.value.store(out.hidden + k);
    result.slope.store(out.slopes + k);
  }
  return out;
}

/// The spherical part of one filter of a tile, (tile_pairs, width of its chunks); `offset` is where its hidden units
/// begin. Zero in the first layer, where tables contain it.
template <class T>
PANNA_HD void fill_spherical(const CoefficientsView<T> &part, const Tile<T> &tile, const T *hidden, int n_hidden,
                             T *filter) {
  multiply(part.spherical_outer.forward, tile.n, hidden, n_hidden, filter, part.chunks.width());
}

}  // namespace panna_plus::PANNA_ISA
