// Products of rows of numbers and packed matrices, and what goes with them. Lanes are outputs.
#pragma once

#include "cpu/simd/elementary.h"
#include "cpu/so3krates_kernels.h"

namespace panna_plus::PANNA_ISA {

/// Rows that are multiplied together: their sums of two packs each stay in registers.
constexpr int multiplied_rows = PANNA_VECTOR_BYTES == 64 ? 8 : 4;

template <int Rows, int Packs, class T>
PANNA_HD void multiply_tile(int n_in, const T *panel, const T *bias, const T *x, std::ptrdiff_t x_stride, T *y,
                            std::ptrdiff_t y_stride) {
  using V = Pack<T>;
  constexpr int W = V::width;
  V sums[Rows][Packs];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Packs; ++p) sums[r][p] = bias ? V::load(bias + p * W) : V(0);
  }
  for (int i = 0; i < n_in; ++i) {
    V weights[Packs];
#pragma GCC unroll 2
    for (int p = 0; p < Packs; ++p) weights[p] = V::load(panel + (i * Packs + p) * W);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const V input(x[r * x_stride + i]);
#pragma GCC unroll 2
      for (int p = 0; p < Packs; ++p) sums[r][p] += input * weights[p];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Packs; ++p) sums[r][p].store(y + r * y_stride + p * W);
  }
}

template <int Packs, class T>
void multiply_panel(int n_in, const T *panel, const T *bias, std::int64_t n_rows, const T *x, std::ptrdiff_t x_stride,
                    T *y, std::ptrdiff_t y_stride) {
  std::int64_t row = 0;
  for (; row + multiplied_rows <= n_rows; row += multiplied_rows) {
    multiply_tile<multiplied_rows, Packs>(n_in, panel, bias, x + row * x_stride, x_stride, y + row * y_stride,
                                          y_stride);
  }
  for (; row + 2 <= n_rows; row += 2) {
    multiply_tile<2, Packs>(n_in, panel, bias, x + row * x_stride, x_stride, y + row * y_stride, y_stride);
  }
  for (; row < n_rows; ++row) {
    multiply_tile<1, Packs>(n_in, panel, bias, x + row * x_stride, x_stride, y + row * y_stride, y_stride);
  }
}

/// y (n_rows, padded) = x (n_rows, n_in) W^T + bias.
template <class T>
void multiply(const MatrixView<T> &matrix, std::int64_t n_rows, const T *x, std::ptrdiff_t x_stride, T *y,
              std::ptrdiff_t y_stride) {
  constexpr int W = Pack<T>::width;
  for (int o = 0; o < matrix.padded; o += 2 * W) {
    const T *panel = matrix.panels + std::ptrdiff_t(o) * matrix.n_in, *bias = matrix.bias ? matrix.bias + o : nullptr;
    if (o + W < matrix.padded) {
      multiply_panel<2>(matrix.n_in, panel, bias, n_rows, x, x_stride, y + o, y_stride);
    } else {
      multiply_panel<1>(matrix.n_in, panel, bias, n_rows, x, x_stride, y + o, y_stride);
    }
  }
}

/// out[k] = sum over the lanes of pack k; n is rounded up to whole packs.
template <class T>
PANNA_HD void sum_packs(const T *packs, int n, T *out) {
  using V = Pack<T>;
  constexpr int W = V::width;
  for (int k = 0; k < n; k += W) {
    V group[W];
#pragma GCC unroll 16
    for (int g = 0; g < W; ++g) group[g] = V::load(packs + (k + g) * W);
    sums_across(group).store(out + k);
  }
}

template <class T>
struct ValueAndSlope {
  Pack<T> value, slope;
};

/// x / (1 + e^-x) and its derivative.
template <class T>
PANNA_HD ValueAndSlope<T> silu(Pack<T> x) {
  using V = Pack<T>;
  const V one(1), sigmoid = reciprocal(one + exp(-x));
  return {x * sigmoid, sigmoid * (one + x * (one - sigmoid))};
}

/// Pieces of one stretch of memory.
template <class T>
class Scratch {
 public:
  explicit Scratch(T *memory) : next_(memory) {}
  T *take(std::ptrdiff_t n) {
    T *const piece = next_;
    next_ += (n + 15) / 16 * 16;
    return piece;
  }
  T *next() const { return next_; }

 private:
  T *next_;
};

}  // namespace panna_plus::PANNA_ISA
