// Functions of the cosine c of the angle j-i-k, each with maximum 1: F(c)^zeta with
//   F = offset + along_cosine c + along_sine sigma,   sigma = sqrt(1 - c^2 + softening).
#pragma once

#include "math/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::math {

struct AngularWindow {
  double offset, along_cosine, along_sine;
  double softening;
  double zeta;  // at least 1
};

/// Modified Behler-Parrinello: F = (1 + C c + S sigma) / (1 + sqrt(1 + eps S^2)), softening eps S^2, with
/// C and S the cosine and sine of the angle theta. F is 1 at c = C sqrt(1 + eps S^2).
inline AngularWindow mbp_window(double theta, double zeta, double epsilon) {
  const double c = std::cos(theta), s = std::sin(theta), softening = epsilon * s * s;
  const double peak = 1.0 + std::sqrt(1.0 + softening);
  return {1.0 / peak, c / peak, s / peak, softening, zeta};
}

/// Original Behler-Parrinello: F = (1 + lambda c) / 2.
inline AngularWindow bp_window(double lambda, double zeta) { return {0.5, 0.5 * lambda, 0.0, 1.0, zeta}; }

/// Lower bound of the squared sine: only reached where epsilon is 0 and the three atoms are collinear.
PANNA_HD float squared_sine_floor(float) { return 1e-7f; }
PANNA_HD double squared_sine_floor(double) { return 1e-14; }

/// sigma and d(sigma)/dc, the latter 0 where the floor acts.
template <class V>
PANNA_HD ValueSlope<V> softened_sine(V c, V squared_sine, V softening, V floor) {
  const V square = squared_sine + softening, bounded = larger(square, floor);
  const V inverse = inverse_sqrt(bounded);
  return {bounded * inverse, where_greater(square, floor, -c * inverse, V(0))};
}

/// The same where the softening alone keeps sigma away from 0.
template <class V>
PANNA_HD ValueSlope<V> softened_sine(V c, V squared_sine, V softening) {
  const V square = squared_sine + softening, inverse = inverse_sqrt(square);
  return {square * inverse, -c * inverse};
}

}  // namespace panna_plus::math
