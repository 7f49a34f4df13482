#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

constexpr double two_by_root_pi = 1.12837916709551257390;

/// erf x and its derivative, x >= 0.
PANNA_HD ValueSlope<float> error_function(float x) {
  return {std::erf(x), float(two_by_root_pi) * std::exp(-x * x)};
}
PANNA_HD ValueSlope<double> error_function(double x) { return {std::erf(x), two_by_root_pi * std::exp(-x * x)}; }

}  // namespace panna_plus::math
