// The cosine cutoff f(r) = (1 + cos(pi r / R)) / 2 for r < R, else 0. Its second derivative jumps at R.
#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

constexpr double pi = 3.14159265358979323846;

/// f and df/dr; r in angstrom.
template <class V>
PANNA_HD ValueSlope<V> cosine_cutoff(V r, V cutoff) {
  const V zero(0), half(0.5), one(1), wave_number = V(pi) / cutoff;
  const V value = half * (one + cos_of(wave_number * r));
  const V slope = -half * wave_number * sin_of(wave_number * r);
  return {where_greater(cutoff, r, value, zero), where_greater(cutoff, r, slope, zero)};
}

}  // namespace panna_plus::math
