// Shells and windows of many packs: the basis functions that triplets and neighbours share.
#pragma once

#include "cpu/panna_kernels.h"
#include "cpu/simd/elementary.h"
#include "math/angular_window.h"

namespace panna_plus::PANNA_ISA {

/// Stores shell a at x, and its derivative if slopes are wanted (slopes is null otherwise).
template <class T>
PANNA_HD void store_shell(const ShellView<T> &shells, int a, Pack<T> x, Pack<T> value, std::size_t stride, T *values,
                          T *slopes) {
  value.store(values + a * stride);
  if (!slopes) return;
  const Pack<T> slope = Pack<T>(shells.slope_factor[a]) * x + Pack<T>(shells.slope_offset[a]);
  (value * slope).store(slopes + a * stride);
}

/// values[a * stride] = factor times the Gaussian a at x; the same for slopes unless null.
template <class T>
PANNA_HD void gaussian_shells(const ShellView<T> &shells, Pack<T> x, Pack<T> factor, std::size_t stride, T *values,
                              T *slopes) {
  using V = Pack<T>;
  if (shells.reach == 0) {
    for (int a = 0; a < shells.n; ++a) {
      const V d = (x - V(shells.center[a])) * V(shells.scale[a]);
      store_shell(shells, a, x, factor * exp2_nonpositive(-d * d), stride, values, slopes);
    }
    return;
  }
  const V exponent = V(shells.ratio) * (x - V(shells.middle)), zero(0);
  // 2^|e| as the inverse of 2^-|e|: one exponential serves both directions.
  const V small = exp2_nonpositive(smaller(exponent, -exponent)), large = reciprocal(small);
  const V q = where_greater(exponent, zero, large, small), inverse_q = where_greater(exponent, zero, small, large);
  for (int first = 0; first < shells.n; first += 2 * shells.reach + 1) {
    const int anchor = first + shells.reach < shells.n ? first + shells.reach : shells.n - 1;
    const int last = anchor + shells.reach < shells.n ? anchor + shells.reach : shells.n - 1;
    const V d = (x - V(shells.center[anchor])) * V(shells.scale[anchor]);
    const V middle = factor * exp2_nonpositive(-d * d);
    store_shell(shells, anchor, x, middle, stride, values, slopes);
    V value = middle;
    for (int a = anchor; a < last; ++a) {
      value = value * (q * V(shells.up[a]));
      store_shell(shells, a + 1, x, value, stride, values, slopes);
    }
    value = middle;
    for (int a = anchor; a > first; --a) {
      value = value * (inverse_q * V(shells.down[a]));
      store_shell(shells, a - 1, x, value, stride, values, slopes);
    }
  }
}

template <class T>
PANNA_HD void shell_values(const ShellView<T> &shells, Pack<T> x, Pack<T> factor, std::size_t stride, T *values,
                           T *slopes) {
  if (shells.is_gaussian) return gaussian_shells(shells, x, factor, stride, values, slopes);
  for (int a = 0; a < shells.n; ++a) {
    const Pack<T> value = factor * exp2_nonpositive(-x * Pack<T>(shells.scale[a]));
    store_shell(shells, a, x, value, stride, values, slopes);
  }
}

/// powers[k] = base[k]^(whole + fraction - less) with the exponent of window b.
template <int N, class T>
PANNA_HD void window_powers(const WindowView<T> &windows, int b, const Pack<T> (&base)[N], int less,
                            Pack<T> (&powers)[N]) {
  Pack<T> x[N];
#pragma GCC unroll 8
  for (int k = 0; k < N; ++k) x[k] = base[k];
  integer_powers(x, windows.whole[b] - less, powers);
  if (windows.fraction[b] == T(0)) return;
  for (int k = 0; k < N; ++k) powers[k] = powers[k] * fractional_power(base[k], Pack<T>(windows.fraction[b]));
}

}  // namespace panna_plus::PANNA_ISA
