// Derivatives of the energy with respect to what messages are made of. Filters are computed again, not kept.
//
// A pair whose rows both receive is listed once and gives everything to both rows. Any other pair is listed at each of
// its rows that receives: there it gives that row its share, and its gradient is that of what its first row receives.
#pragma once

#include "cpu/so3krates_attend.h"

namespace panna_plus::PANNA_ISA {

/// Of one attention of a tile; rows of a pair one after the other: what i receives, then what j does.
template <class T>
struct Coefficients {
  T *adjoint;  // (2 tile_pairs, stride) dE/da
  int stride;
  T *values;  // (2 tile_pairs, n) a
};

/// What the parts of the backward pass of a tile share.
template <class T>
struct BackwardTile {
  T *harmonics, *hermite, *hermite_slopes;
  T *radial;  // (tile_pairs, one pack) dE/dr through the filters, lanes to be summed
  T *along;  // (tile_pairs) dE/dr along the direction
  T *spread;  // (2 tile_pairs, components) products or coefficients of vectors
  T *by_harmonics;  // (components, tile_pairs) dE/dY
  SphericalHidden<T> spherical{};
  T *hidden_adjoint;  // (tile_pairs, 2 narrow)

  BackwardTile(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, const Tile<T> &tile, const T *v,
               Scratch<T> &scratch) {
    constexpr int W = Pack<T>::width;
    const ShapeView<T> &shape = *layer.shape;
    harmonics = scratch.take(tile_pairs * shape.components);
    hermite = scratch.take(n_hermite * tile_pairs);
    hermite_slopes = scratch.take(n_hermite * tile_pairs);
    radial = scratch.take(tile_pairs * W);
    along = scratch.take(tile_pairs);
    spread = scratch.take(2 * tile_pairs * shape.components);
    by_harmonics = scratch.take(tile_pairs * shape.components);
    hidden_adjoint = scratch.take(2 * tile_pairs * shape.narrow);
    for (int k = 0; k < tile_pairs * W; ++k) radial[k] = T(0);
    for (int e = 0; e < tile_pairs; ++e) along[e] = T(0);
    fill_harmonics(shape, pairs, tile, harmonics);
    fill_hermite(shape, pairs, tile, hermite, hermite_slopes);
    if (!layer.is_first) spherical = spherical_hidden(layer, tile, v, scratch);
  }
};

/// dE/da of features: X_i . v_j and X_j . v_i per head, X being the derivatives with respect to messages.
template <class T>
void feature_adjoints(const CoefficientsView<T> &part, const Tile<T> &tile, const AttentionView<T> &view, T *packs,
                      T *sums) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const ChunkView chunks = part.chunks;
  const std::ptrdiff_t width = chunks.width();
  for (int e = 0; e < tile.n; ++e) {
    const T *v_j = view.projected.value + projected_row(view, tile.second[e]) * width;
    const T *v_i = view.projected.value + projected_row(view, tile.first[e]) * width;
    const T *x_i = view.messages_adjoint + tile.first[e] * width, *x_j = view.messages_adjoint + tile.second[e] * width;
    T *out = packs + 2 * e * chunks.n * W;
    for (int c = 0, k = 0; c < chunks.n; ++c) {
      V forth(0), back(0);
      for (const int end = k + chunks.padded; k < end; k += W) {
        forth += V::load(x_i + k) * V::load(v_j + k);
        back += V::load(x_j + k) * V::load(v_i + k);
      }
      forth.store(out + c * W);
      back.store(out + (chunks.n + c) * W);
    }
  }
  sum_packs(packs, 2 * tile.n * chunks.n, sums);
}

/// dE/da of vectors: sum_m V_i,m Y_m per degree, and the same for j with the directions reversed.
template <class T>
void vector_adjoints(const ShapeView<T> &shape, const Tile<T> &tile, const AttentionView<T> &view, const T *harmonics,
                     T *products, T *sums) {
  using V = Pack<T>;
  const std::ptrdiff_t width = shape.components;
  for (int e = 0; e < tile.n; ++e) {
    const T *v_i = view.vectors_adjoint + tile.first[e] * width, *v_j = view.vectors_adjoint + tile.second[e] * width;
    for (int m = 0; m < width; m += V::width) {
      const V y = V::load(harmonics + e * width + m);
      (y * V::load(v_i + m)).store(products + 2 * e * width + m);
      (y * V::load(v_j + m) * V::load(shape.parity + m)).store(products + (2 * e + 1) * width + m);
    }
  }
  multiply(shape.sums.forward, 2 * tile.n, products, width, sums, shape.sums.forward.padded);
}

/// y += a x
template <class T>
PANNA_HD void add_product(T *y, Pack<T> a, Pack<T> x) {
  (Pack<T>::load(y) + a * x).store(y);
}

/// The derivatives through one attention: those of queries, keys and filter, and the sums s of which a is a multiple.
/// `filter` (tile_pairs, width) holds the spherical part and receives dE/dW.
template <bool is_first, class T>
void products_back(const CoefficientsView<T> &part, const PairsView<T> &pairs, const Tile<T> &tile,
                   const AttentionView<T> &view, bool is_vector, const BackwardTile<T> &shared,
                   const Coefficients<T> &of, T *filter, T *packs) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const ChunkView chunks = part.chunks;
  const std::ptrdiff_t width = chunks.width();
  const T *const query = is_vector ? view.projected.query_2 : view.projected.query_1;
  const T *const key = is_vector ? view.projected.key_2 : view.projected.key_1;
  T *const query_adjoint = is_vector ? view.adjoint.query_2 : view.adjoint.query_1;
  T *const key_adjoint = is_vector ? view.adjoint.key_2 : view.adjoint.key_1;
  for (int e = 0; e < tile.n; ++e) {
    const std::int64_t row_i = tile.first[e] * width, row_j = tile.second[e] * width;
    const std::int64_t i = projected_row(view, tile.first[e]) * width, j = projected_row(view, tile.second[e]) * width;
    const T *const table = part.table + 3 * width * pairs.knot[tile.begin + e];
    const T factor = pairs.envelope[tile.begin + e] * part.inverse_norm;
    const bool is_shared = tile.is_shared[e];
    V polynomials[n_hermite], slopes[n_hermite];
    take_polynomials(shared.hermite, e, polynomials);
    take_polynomials(shared.hermite_slopes, e, slopes);
    V radial = V::load(shared.radial + e * W);
    T *out = packs + 2 * e * chunks.n * W;
    for (int c = 0; c < chunks.n; ++c) {
      const T *const adjoint = of.adjoint + 2 * e * of.stride + c;
      const V g_forth(factor * adjoint[0]), g_back(factor * adjoint[of.stride]);
      const V g_counted = is_shared ? g_back : V(0);  // in the gradient of the pair
      V forth(0), back(0);
      for (int k = c * chunks.padded; k < (c + 1) * chunks.padded; k += W) {
        V w = interpolated(table + k, width, polynomials);
        if (!is_first) w += V::load(filter + e * width + k);
        const V q_i = V::load(query + i + k), k_i = V::load(key + i + k);
        const V q_j = V::load(query + j + k), k_j = V::load(key + j + k);
        const V to_i = q_i * k_j, to_j = q_j * k_i;
        forth += w * to_i;
        back += w * to_j;
        const V w_adjoint = g_forth * to_i + g_back * to_j;
        radial += (g_forth * to_i + g_counted * to_j) * interpolated(table + k, width, slopes);
        if (is_first) continue;
        w_adjoint.store(filter + e * width + k);
        const V w_forth = g_forth * w, w_back = g_back * w;
        add_product(query_adjoint + row_i + k, w_forth, k_j);
        add_product(key_adjoint + row_i + k, w_back, q_j);
        if (!is_shared) continue;
        add_product(query_adjoint + row_j + k, w_back, k_i);
        add_product(key_adjoint + row_j + k, w_forth, q_i);
      }
      forth.store(out + c * W);
      back.store(out + (chunks.n + c) * W);
    }
    radial.store(shared.radial + e * W);
  }
  sum_packs(packs, 2 * tile.n * chunks.n, of.values);
}

/// From sums s to coefficients a = f s / norm, and dE/dr through the envelope f.
template <class T>
void envelope_back(const CoefficientsView<T> &part, const PairsView<T> &pairs, const Tile<T> &tile,
                   const Coefficients<T> &of, T *along) {
  const int n = part.chunks.n;
  for (int e = 0; e < tile.n; ++e) {
    const T value = pairs.envelope[tile.begin + e] * part.inverse_norm;
    const int n_received = tile.is_shared[e] ? 2 : 1;
    T sum(0);
    for (int d = 0; d < 2; ++d) {
      for (int c = 0; c < n; ++c) {
        T &s = of.values[(2 * e + d) * n + c];
        if (d < n_received) sum += of.adjoint[(2 * e + d) * of.stride + c] * s;
        s *= value;
      }
    }
    along[e] += sum * pairs.envelope_slope[tile.begin + e] * part.inverse_norm;
  }
}

/// Derivatives of values: j's value reaches i, and i's reaches j.
template <class T>
void values_back(const ChunkView &chunks, const Tile<T> &tile, const AttentionView<T> &view, const T *coefficients) {
  using V = Pack<T>;
  const std::ptrdiff_t width = chunks.width();
  for (int e = 0; e < tile.n; ++e, coefficients += 2 * chunks.n) {
    const std::int64_t i = tile.first[e] * width, j = tile.second[e] * width;
    for (int c = 0, k = 0; c < chunks.n; ++c) {
      const V forth(coefficients[c]), back(coefficients[chunks.n + c]);
      for (const int end = k + chunks.padded; k < end; k += V::width) {
        add_product(view.adjoint.value + i + k, back, V::load(view.messages_adjoint + j + k));
        if (!tile.is_shared[e]) continue;
        add_product(view.adjoint.value + j + k, forth, V::load(view.messages_adjoint + i + k));
      }
    }
  }
}

/// Through the invariants of v_j - v_i. `hidden` (tile_pairs, 2 narrow): dE/d(hidden units before the activation).
template <class T>
void differences_back(const So3kratesLayerView<T> &layer, const Tile<T> &tile, const SphericalHidden<T> &spherical,
                      const T *hidden, T *v_adjoint, Scratch<T> scratch) {
  using V = Pack<T>;
  const ShapeView<T> &shape = *layer.shape;
  const std::ptrdiff_t width = shape.components;
  const int padded = shape.invariants.forward.padded;
  T *const invariants = scratch.take(tile_pairs * padded), *const squares = scratch.take(tile_pairs * width);
  multiply(layer.spherical_inner.backward, tile.n, hidden, 2 * shape.narrow, invariants, padded);
  multiply(shape.invariants.backward, tile.n, invariants, padded, squares, width);
  for (int e = 0; e < tile.n; ++e) {
    T *v_i = v_adjoint + tile.first[e] * width, *v_j = v_adjoint + tile.second[e] * width;
    for (int m = 0; m < width; m += V::width) {
      const V twice = V::load(squares + e * width + m) + V::load(squares + e * width + m);
      const V g = twice * V::load(spherical.differences + e * width + m);
      (V::load(v_i + m) - g).store(v_i + m);
      if (tile.is_shared[e]) (V::load(v_j + m) + g).store(v_j + m);
    }
  }
}

/// dE/dY (components, tile_pairs), transposed: lanes become pairs. `spread` (2 tile_pairs, components): coefficients.
template <class T>
void harmonics_back(const ShapeView<T> &shape, const Tile<T> &tile, const AttentionView<T> &view, const T *spread,
                    T *transposed) {
  const std::ptrdiff_t width = shape.components;
  for (int e = 0; e < tile.n; ++e) {
    const T *v_i = view.vectors_adjoint + tile.first[e] * width, *v_j = view.vectors_adjoint + tile.second[e] * width;
    const T *forth = spread + 2 * e * width, *back = forth + width;
    const T receives(tile.is_shared[e]);
    for (int m = 0; m < shape.n_components; ++m) {
      transposed[m * tile_pairs + e] = forth[m] * v_i[m] + receives * shape.parity[m] * back[m] * v_j[m];
    }
  }
  for (int m = 0; m < shape.n_components; ++m) {
    for (int e = tile.n; e < tile_pairs; ++e) transposed[m * tile_pairs + e] = T(0);
  }
}

/// Adds dE/dr of the pairs. `along` (tile_pairs) is the part along the direction, `harmonics` dE/dY.
template <class T>
void add_gradients(const ShapeView<T> &shape, const PairsView<T> &pairs, const Tile<T> &tile, const T *along,
                   const T *harmonics) {
  using V = Pack<T>;
  constexpr int W = V::width;
  for (int p = 0; p < tile_pairs; p += W) {
    const std::int64_t k = tile.begin + p;
    const math::Vector3<V> unit{V::load(pairs.x + k), V::load(pairs.y + k), V::load(pairs.z + k)};
    math::Vector3<V> turn{V(0), V(0), V(0)};
    int m = 0;
    for (int d = 0; d < shape.n_degrees; ++d) {
      V g[2 * math::highest_degree + 1];
      for (int c = 0; c < 2 * shape.degrees[d] + 1; ++c, ++m) g[c] = V::load(harmonics + m * tile_pairs + p);
      turn = turn + math::spherical_gradient(shape.degrees[d], unit, g);
    }
    const V inverse = V::load(pairs.inverse_distance + k);
    const V straight = V::load(along + p) - inverse * math::dot(unit, turn);
    T x[W], y[W], z[W];
    (inverse * turn.x + straight * unit.x).store(x);
    (inverse * turn.y + straight * unit.y).store(y);
    (inverse * turn.z + straight * unit.z).store(z);
    for (int lane = 0; lane < W && p + lane < tile.n; ++lane) {
      double *g = pairs.gradients + 3 * (k + lane);
      g[0] += double(x[lane]);
      g[1] += double(y[lane]);
      g[2] += double(z[lane]);
    }
  }
}

/// Through one attention: coefficients, products and the hidden units of the spherical filter.
template <bool is_first, class T>
void attention_back(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, const Tile<T> &tile,
                    const AttentionView<T> &view, bool is_vector, const BackwardTile<T> &shared, Scratch<T> own) {
  constexpr int W = Pack<T>::width;
  const ShapeView<T> &shape = *layer.shape;
  const CoefficientsView<T> &part = is_vector ? layer.vectors : layer.features;
  const int n = part.chunks.n, n_sums = 2 * tile_pairs * n + W, padded = shape.sums.forward.padded;
  const int n_hidden = 2 * shape.narrow, offset = is_vector ? shape.narrow : 0;
  T *const filter = own.take(tile_pairs * part.chunks.width()), *const packs = own.take(n_sums * W);
  const Coefficients<T> of{own.take(2 * tile_pairs * (padded > n ? padded : n) + W), is_vector ? padded : n,
                           own.take(n_sums)};
  if (is_vector) {
    vector_adjoints(shape, tile, view, shared.harmonics, shared.spread, of.adjoint);
  } else {
    feature_adjoints(part, tile, view, packs, of.adjoint);
  }
  if (!is_first) fill_spherical(part, tile, shared.spherical.hidden + offset, n_hidden, filter);
  products_back<is_first>(part, pairs, tile, view, is_vector, shared, of, filter, packs);
  envelope_back(part, pairs, tile, of, shared.along);
  if (!is_first) {
    multiply(part.spherical_outer.backward, tile.n, filter, part.chunks.width(), shared.hidden_adjoint + offset,
             n_hidden);
  }
  if (is_vector) {
    multiply(shape.sums.backward, 2 * tile.n, of.values, n, shared.spread, shape.components);
    harmonics_back(shape, tile, view, shared.spread, shared.by_harmonics);
  } else if (!is_first) {
    values_back(part.chunks, tile, view, of.values);
  }
}

template <bool is_first, class T>
void attend_back_tile(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, const Tile<T> &tile,
                      const AttentionView<T> &view, T *memory) {
  using V = Pack<T>;
  Scratch<T> scratch(memory);
  const BackwardTile<T> shared(layer, pairs, tile, view.v, scratch);
  for (const bool is_vector : {false, true}) {
    attention_back<is_first>(layer, pairs, tile, view, is_vector, shared, scratch);
  }
  if (!is_first) {
    for (int k = 0; k < tile.n * 2 * layer.shape->narrow; k += V::width) {
      (V::load(shared.hidden_adjoint + k) * V::load(shared.spherical.slopes + k)).store(shared.hidden_adjoint + k);
    }
    differences_back(layer, tile, shared.spherical, shared.hidden_adjoint, view.v_adjoint, scratch);
  }
  for (int e = 0; e < tile.n; ++e) shared.along[e] += sum_across(V::load(shared.radial + e * V::width));
  add_gradients(*layer.shape, pairs, tile, shared.along, shared.by_harmonics);
}

/// Whether any pair of the tile has a row whose derivative is not zero.
template <class T>
bool has_active_row(const Tile<T> &tile, const AttentionView<T> &view) {
  if (!view.levels) return true;
  for (int e = 0; e < tile.n; ++e) {
    if (view.levels[tile.first[e]] >= view.level || view.levels[tile.second[e]] >= view.level) return true;
  }
  return false;
}

template <class T>
void attend_back(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, std::int64_t n_pairs,
                 const AttentionView<T> &view, T *scratch) {
  for (std::int64_t begin = 0; begin < n_pairs; begin += tile_pairs) {
    const Tile<T> tile(pairs, begin, n_pairs);
    if (!has_active_row(tile, view)) continue;
    if (layer.is_first) {
      attend_back_tile<true>(layer, pairs, tile, view, scratch);
    } else {
      attend_back_tile<false>(layer, pairs, tile, view, scratch);
    }
  }
}

}  // namespace panna_plus::PANNA_ISA
