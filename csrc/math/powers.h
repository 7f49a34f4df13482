// Powers with exponents of at least 1 that are the same for all numbers at hand: nothing diverges.
#pragma once

#include "math/elementary.h"

namespace panna_plus::math {

/// out[k] = x[k]^n, n >= 0, by repeated squaring, all k in step.
template <int N, class V>
PANNA_HD void integer_powers(const V (&x)[N], int n, V (&out)[N]) {
  V square[N];
  PANNA_UNROLL
  for (int k = 0; k < N; ++k) {
    square[k] = x[k];
    out[k] = n & 1 ? x[k] : V(1);
  }
  for (n >>= 1; n > 0; n >>= 1) {
    PANNA_UNROLL
    for (int k = 0; k < N; ++k) square[k] = square[k] * square[k];
    if (!(n & 1)) continue;
    PANNA_UNROLL
    for (int k = 0; k < N; ++k) out[k] = out[k] * square[k];
  }
}

}  // namespace panna_plus::math
