// Messages between the rows of pairs: sum_j a_ij V x_j for features, sum_j a_ij Y_ij for vectors.
#pragma once

#include "cpu/so3krates_tile.h"

namespace panna_plus::PANNA_ISA {

/// sum_f q_i,f W_ij,f k_j,f per chunk, and the same with i and j exchanged: sums (2 tile_pairs, n_chunks), the rows of
/// a pair one after the other.
template <bool is_first, class T>
void fill_products(const CoefficientsView<T> &part, const PairsView<T> &pairs, const Tile<T> &tile,
                   const AttentionView<T> &view, const T *query, const T *key, const T *hermite, const T *spherical,
                   T *packs, T *sums) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const ChunkView chunks = part.chunks;
  const std::ptrdiff_t width = chunks.width();
  for (int e = 0; e < tile.n; ++e) {
    const std::int64_t i = projected_row(view, tile.first[e]) * width, j = projected_row(view, tile.second[e]) * width;
    const T *const table = part.table + 3 * width * pairs.knot[tile.begin + e];
    V polynomials[n_hermite];
    take_polynomials(hermite, e, polynomials);
    T *out = packs + 2 * e * chunks.n * W;
    for (int c = 0; c < chunks.n; ++c) {
      V forth(0), back(0);
      for (int k = c * chunks.padded; k < (c + 1) * chunks.padded; k += W) {
        V filter = interpolated(table + k, width, polynomials);
        if (!is_first) filter += V::load(spherical + e * width + k);
        forth += V::load(query + i + k) * filter * V::load(key + j + k);
        back += V::load(query + j + k) * filter * V::load(key + i + k);
      }
      forth.store(out + c * W);
      back.store(out + (chunks.n + c) * W);
    }
  }
  sum_packs(packs, 2 * tile.n * chunks.n, sums);
}

/// Coefficients from sums: times envelope over norm. Both (2 tile_pairs, n).
template <class T>
void scale_products(const PairsView<T> &pairs, const Tile<T> &tile, T inverse_norm, int n, const T *sums, T *scaled) {
  for (int e = 0; e < tile.n; ++e) {
    const T factor = pairs.envelope[tile.begin + e] * inverse_norm;
    for (int k = 2 * e * n; k < 2 * (e + 1) * n; ++k) scaled[k] = factor * sums[k];
  }
}

template <class T>
void add_messages(const ChunkView &chunks, const Tile<T> &tile, const AttentionView<T> &view, const T *coefficients) {
  using V = Pack<T>;
  const std::ptrdiff_t width = chunks.width();
  const T *const value = view.projected.value;
  for (int e = 0; e < tile.n; ++e, coefficients += 2 * chunks.n) {
    const T *v_j = value + projected_row(view, tile.second[e]) * width;
    const T *v_i = value + projected_row(view, tile.first[e]) * width;
    T *x_i = view.messages + tile.first[e] * width, *x_j = view.messages + tile.second[e] * width;
    for (int c = 0, k = 0; c < chunks.n; ++c) {
      const V forth(coefficients[c]), back(coefficients[chunks.n + c]);
      for (const int end = k + chunks.padded; k < end; k += V::width) {
        (V::load(x_i + k) + forth * V::load(v_j + k)).store(x_i + k);
        if (tile.is_shared[e]) (V::load(x_j + k) + back * V::load(v_i + k)).store(x_j + k);
      }
    }
  }
}

template <class T>
void add_vector_messages(const ShapeView<T> &shape, const Tile<T> &tile, const AttentionView<T> &view,
                         const T *coefficients, const T *harmonics, T *spread) {
  using V = Pack<T>;
  const std::ptrdiff_t width = shape.components;
  multiply(shape.sums.backward, 2 * tile.n, coefficients, shape.n_degrees, spread, width);
  for (int e = 0; e < tile.n; ++e) {
    T *v_i = view.vector_messages + tile.first[e] * width, *v_j = view.vector_messages + tile.second[e] * width;
    const T *forth = spread + 2 * e * width, *back = forth + width;
    for (int m = 0; m < width; m += V::width) {
      const V y = V::load(harmonics + e * width + m);
      (V::load(v_i + m) + V::load(forth + m) * y).store(v_i + m);
      if (!tile.is_shared[e]) continue;
      (V::load(v_j + m) + V::load(back + m) * y * V::load(shape.parity + m)).store(v_j + m);
    }
  }
}

template <bool is_first, class T>
void attend_tile(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, const Tile<T> &tile,
                 const AttentionView<T> &view, T *memory) {
  const ShapeView<T> &shape = *layer.shape;
  Scratch<T> scratch(memory);
  T *const harmonics = scratch.take(tile_pairs * shape.components);
  T *const hermite = scratch.take(n_hermite * tile_pairs);
  fill_harmonics(shape, pairs, tile, harmonics);
  fill_hermite(shape, pairs, tile, hermite, static_cast<T *>(nullptr));
  SphericalHidden<T> spherical{};
  if (!is_first) spherical = spherical_hidden(layer, tile, view.v, scratch);
  for (const bool is_vector : {false, true}) {
    const CoefficientsView<T> &part = is_vector ? layer.vectors : layer.features;
    const int n = part.chunks.n, n_sums = 2 * tile_pairs * n + Pack<T>::width;
    Scratch<T> own = scratch;
    T *const filter = own.take(tile_pairs * part.chunks.width()), *const packs = own.take(n_sums * Pack<T>::width);
    T *const sums = own.take(n_sums), *const spread = own.take(2 * tile_pairs * shape.components);
    if (!is_first) {
      fill_spherical(part, tile, spherical.hidden + (is_vector ? shape.narrow : 0), 2 * shape.narrow, filter);
    }
    const T *const query = is_vector ? view.projected.query_2 : view.projected.query_1;
    const T *const key = is_vector ? view.projected.key_2 : view.projected.key_1;
    fill_products<is_first>(part, pairs, tile, view, query, key, hermite, filter, packs, sums);
    scale_products(pairs, tile, part.inverse_norm, n, sums, sums);
    if (is_vector) {
      add_vector_messages(shape, tile, view, sums, harmonics, spread);
    } else {
      add_messages(part.chunks, tile, view, sums);
    }
  }
}

template <class T>
void attend(const So3kratesLayerView<T> &layer, const PairsView<T> &pairs, std::int64_t n_pairs,
            const AttentionView<T> &view, T *scratch) {
  for (std::int64_t begin = 0; begin < n_pairs; begin += tile_pairs) {
    const Tile<T> tile(pairs, begin, n_pairs);
    if (layer.is_first) {
      attend_tile<true>(layer, pairs, tile, view, scratch);
    } else {
      attend_tile<false>(layer, pairs, tile, view, scratch);
    }
  }
}

}  // namespace panna_plus::PANNA_ISA
