#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

/// exp(-eta (r - center)^2) and its derivative with respect to r.
template <class V>
PANNA_HD ValueSlope<V> gaussian(V r, V eta, V center) {
  const V distance = r - center;
  const V value = exp(-eta * distance * distance);
  return {value, V(-2) * eta * distance * value};
}

/// A Gaussian times a cutoff: one radial function of one pair.
template <class V>
PANNA_HD ValueSlope<V> cut_gaussian(ValueSlope<V> gauss, ValueSlope<V> cutoff) {
  return {gauss.value * cutoff.value, gauss.slope * cutoff.value + gauss.value * cutoff.slope};
}

}  // namespace panna_plus::math
