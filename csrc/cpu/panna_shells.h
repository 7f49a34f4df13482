// Shells and windows of many packs: the basis functions that triplets and neighbours share.
#pragma once

#include "cpu/panna_kernels.h"
#include "cpu/simd/elementary.h"
#include "math/angular_window.h"

namespace panna_plus::PANNA_ISA {

/// Calls visit(a, factor times Gaussian a at x) for all a, not in order.
template <class T, class Visit>
PANNA_HD void for_each_gaussian(const ShellView<T> &shells, Pack<T> x, Pack<T> factor, Visit visit) {
  using V = Pack<T>;
  if (shells.reach == 0) {
    for (int a = 0; a < shells.n; ++a) {
      const V d = (x - V(shells.center[a])) * V(shells.scale[a]);
      visit(a, factor * exp2_nonpositive(-d * d));
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
    visit(anchor, middle);
    V value = middle;
    for (int a = anchor; a < last; ++a) {
      value = value * (q * V(shells.up[a]));
      visit(a + 1, value);
    }
    value = middle;
    for (int a = anchor; a > first; --a) {
      value = value * (inverse_q * V(shells.down[a]));
      visit(a - 1, value);
    }
  }
}

template <class T, class Visit>
PANNA_HD void for_each_shell(const ShellView<T> &shells, Pack<T> x, Pack<T> factor, Visit visit) {
  if (shells.is_gaussian) return for_each_gaussian(shells, x, factor, visit);
  for (int a = 0; a < shells.n; ++a) visit(a, factor * exp2_nonpositive(-x * Pack<T>(shells.scale[a])));
}

/// d(shell a)/dx from its value.
template <class T>
PANNA_HD Pack<T> shell_slope(const ShellView<T> &shells, int a, Pack<T> x, Pack<T> value) {
  return value * (Pack<T>(shells.slope_factor[a]) * x + Pack<T>(shells.slope_offset[a]));
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
