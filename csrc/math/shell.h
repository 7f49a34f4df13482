// Functions of one distance in the form that needs least arithmetic: powers of 2, constants multiplied out.
#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

/// Constants of exp(-eta (x - center)^2) or, without a center, of exp(-eta x).
template <class V>
struct Shell {
  V center;  // 0 without
  V scale;   // sqrt(eta log2 e); without a center eta log2 e
  V slope;   // see shell_function
};

constexpr double log2_e = 1.44269504088896340736;

inline Shell<double> gaussian_shell(double eta, double center) {
  const double scale = std::sqrt(eta * log2_e);
  return {center, scale, scale > 0.0 ? -2.0 * eta / scale : 0.0};
}

inline Shell<double> exponential_shell(double eta) { return {0.0, eta * log2_e, -eta}; }

template <class V>
Shell<V> converted(const Shell<double> &shell) {
  return {V(shell.center), V(shell.scale), V(shell.slope)};
}

/// Value and derivative with respect to x.
template <bool has_center, class V>
PANNA_HD ValueSlope<V> shell_function(const Shell<V> &shell, V x) {
  if constexpr (has_center) {
    const V distance = (x - shell.center) * shell.scale, value = exp2_nonpositive(-distance * distance);
    return {value, shell.slope * distance * value};
  } else {
    const V value = exp2_nonpositive(-x * shell.scale);
    return {value, shell.slope * value};
  }
}

}  // namespace panna_plus::math
