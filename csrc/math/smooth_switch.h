#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

/// Where the switch, e^(-1/t) from its ends, differs from 0 and 1 by less than anything that is computed with it.
PANNA_HD float switch_margin(float) { return 0.0125f; }
PANNA_HD double switch_margin(double) { return 0.0015; }

template <class V>
struct SwitchRange {
  V start, inverse_width;
};

inline SwitchRange<double> switch_range(double start, double end) { return {start, 1.0 / (end - start)}; }

/// Falls from 1 up to the start to 0 at the end, with all derivatives: s(1-t) / (s(1-t) + s(t)), s(x) = exp(-1/x), t
/// from 0 to 1 in the range; value and derivative with respect to r. `margin` is a switch_margin.
template <class V>
PANNA_HD ValueSlope<V> smooth_switch(V r, const SwitchRange<V> &range, V margin) {
  const V one(1), two(2);
  const V t = larger(smaller((r - range.start) * range.inverse_width, one - margin), margin);
  const V product = t * (one - t), inverse = one / product;
  // The ratio s(t) / s(1-t).
  const V ratio = exp((two * t - one) * inverse);
  const V value = one / (one + ratio);
  const V steepness = (one - two * product) * inverse * inverse;
  return {value, -(ratio * value) * value * steepness * range.inverse_width};
}

}  // namespace panna_plus::math
