// The perceptron of one element for a block of atoms, one atom per lane: values forward, derivatives
// with respect to the inputs backward.
#pragma once

#include "cpu/panna_kernels.h"
#include "cpu/simd/elementary.h"
#include "math/activation.h"

namespace panna_plus::PANNA_ISA {

/// Outputs that are summed together in registers, and packs of atoms in a block.
constexpr int row_tile = PANNA_VECTOR_BYTES == 64 ? 8 : 4;
constexpr int block_packs = 2;

PANNA_HD int rounded_up(int n) { return (n + row_tile - 1) / row_tile * row_tile; }

/// y[o] = start[o] + sum_i weight[o, i] x[i] for one tile of outputs; start may be null.
template <class T>
PANNA_HD void multiply_tile(const T *weight, const T *start, const T *x, int n_in,
                            Pack<T> (&y)[row_tile][block_packs]) {
  using V = Pack<T>;
  constexpr int block = block_packs * V::width;
#pragma GCC unroll 8
  for (int o = 0; o < row_tile; ++o) {
#pragma GCC unroll 8
    for (int p = 0; p < block_packs; ++p) y[o][p] = start ? V(start[o]) : V(0);
  }
  for (int i = 0; i < n_in; ++i) {
    V input[block_packs];
#pragma GCC unroll 8
    for (int p = 0; p < block_packs; ++p) input[p] = V::load(x + i * block + p * V::width);
#pragma GCC unroll 8
    for (int o = 0; o < row_tile; ++o) {
      const V w(weight[i * row_tile + o]);
#pragma GCC unroll 8
      for (int p = 0; p < block_packs; ++p) y[o][p] += w * input[p];
    }
  }
}

template <class T>
void apply_layer(const LayerView<T> &layer, const T *x, T *y, T *slopes) {
  using V = Pack<T>;
  constexpr int W = V::width, block = block_packs * W;
  for (int o = 0; o < layer.n_out; o += row_tile) {
    V sums[row_tile][block_packs];
    multiply_tile(layer.forward + std::size_t(o) * layer.n_in, layer.bias + o, x, layer.n_in, sums);
    for (int k = 0; k < row_tile; ++k) {
      for (int p = 0; p < block_packs; ++p) {
        const auto result = math::activate(layer.activation, sums[k][p]);
        result.value.store(y + (o + k) * block + p * W);
        result.slope.store(slopes + (o + k) * block + p * W);
      }
    }
  }
}

/// dE/dx from dE/dy, which is multiplied by the slopes on the way.
template <class T>
void apply_transposed(const LayerView<T> &layer, T *dy, const T *slopes, T *dx) {
  using V = Pack<T>;
  constexpr int W = V::width, block = block_packs * W;
  for (int k = 0; k < layer.n_out * block; k += W) (V::load(dy + k) * V::load(slopes + k)).store(dy + k);
  for (int i = 0; i < layer.n_in; i += row_tile) {
    V sums[row_tile][block_packs];
    multiply_tile(layer.backward + std::size_t(i) * layer.n_out, static_cast<const T *>(nullptr), dy, layer.n_out,
                  sums);
    for (int k = 0; k < row_tile; ++k) {
      for (int p = 0; p < block_packs; ++p) sums[k][p].store(dx + (i + k) * block + p * W);
    }
  }
}

template <class T>
void network(const NetworkView<T> &network, T *x, T *y, T *slopes, T *energies) {
  using V = Pack<T>;
  constexpr int W = V::width, block = block_packs * W;
  T *slope = slopes;
  for (int l = 0; l < network.n_layers; ++l) {
    apply_layer(network.layers[l], x, y, slope);
    slope += rounded_up(network.layers[l].n_out) * block;
    T *const swapped = x;
    x = y;
    y = swapped;
  }
  for (int k = 0; k < block; ++k) energies[k] = x[k];
  for (int k = 0; k < block; k += W) V(1).store(x + k);
  for (int l = network.n_layers - 1; l >= 0; --l) {
    slope -= rounded_up(network.layers[l].n_out) * block;
    apply_transposed(network.layers[l], x, slope, y);
    T *const swapped = x;
    x = y;
    y = swapped;
  }
  // The number of exchanges is even: dE/dx lies where x was.
}

template <class T>
void quadratic_form(const QuadraticFormView<T> &form, const T *x, T *out) {
  using V = Pack<T>;
  constexpr int W = V::width, block = block_packs * W;
  const LayerView<T> &directions = form.directions;
  V total[block_packs], beside[block_packs];
  for (int p = 0; p < block_packs; ++p) total[p] = beside[p] = V(0);
  for (int i = 0; i < directions.n_in; ++i) {
    for (int p = 0; p < block_packs; ++p) {
      const V value = V::load(x + i * block + p * W);
      beside[p] += value * value;
    }
  }
  for (int k = 0; k < directions.n_out; k += row_tile) {
    V along[row_tile][block_packs];
    multiply_tile(directions.forward + std::size_t(k) * directions.n_in, static_cast<const T *>(nullptr), x,
                  directions.n_in, along);
    for (int t = 0; t < row_tile; ++t) {
      for (int p = 0; p < block_packs; ++p) {
        const V square = along[t][p] * along[t][p];
        total[p] += V(form.weights[k + t]) * square;
        beside[p] = beside[p] - square;
      }
    }
  }
  for (int p = 0; p < block_packs; ++p) {
    const V left = where_greater(beside[p], V(0), beside[p], V(0));
    (total[p] + V(form.weight_beside) * left).store(out + p * W);
  }
}

}  // namespace panna_plus::PANNA_ISA
