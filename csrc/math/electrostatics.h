// The interaction of two smeared charges, brought to zero at a cutoff.
#pragma once

#include "math/error_function.h"
#include "math/smooth_switch.h"

namespace panna_plus::math {

constexpr double coulomb_constant = 14.399645351950548;  // eV angstrom / e^2, CODATA 2014

/// V(r) = erf(r / width) / r with all that does not depend on the pair.
template <class V>
struct SmearedCoulomb {
  V inverse_width;
  V cutoff, potential_at_cutoff, slope_at_cutoff;
  SwitchRange<V> shift_range;
};

/// V and dV/dr in 1/angstrom and 1/angstrom^2.
template <class V>
PANNA_HD ValueSlope<V> smeared_potential(V r, V inverse_r, V inverse_width) {
  const ValueSlope<V> erf = error_function(r * inverse_width);
  const V value = erf.value * inverse_r;
  return {value, (erf.slope * inverse_width - value) * inverse_r};
}

inline SmearedCoulomb<double> smeared_coulomb(double width, double switch_start, double cutoff) {
  const ValueSlope<double> end = smeared_potential(cutoff, 1.0 / cutoff, 1.0 / width);
  return {1.0 / width, cutoff, end.value, end.slope, switch_range(switch_start, cutoff)};
}

template <class V>
SmearedCoulomb<V> converted(const SmearedCoulomb<double> &of) {
  return {V(of.inverse_width), V(of.cutoff), V(of.potential_at_cutoff), V(of.slope_at_cutoff),
          {V(of.shift_range.start), V(of.shift_range.inverse_width)}};
}

/// f [V - V_c] + (1 - f) [V - V_c - V'_c (r - r_c)] and its derivative, f falling from 1 to 0 in the range; V_c and
/// V'_c belong to the cutoff.
template <class V>
PANNA_HD ValueSlope<V> shifted_coulomb(const SmearedCoulomb<V> &of, V r, V inverse_r, V margin) {
  const ValueSlope<V> bare = smeared_potential(r, inverse_r, of.inverse_width);
  const ValueSlope<V> shift = smooth_switch(r, of.shift_range, margin);
  const V tilted = V(1) - shift.value, beyond = r - of.cutoff;
  return {bare.value - of.potential_at_cutoff - tilted * of.slope_at_cutoff * beyond,
          bare.slope - of.slope_at_cutoff * (tilted - shift.slope * beyond)};
}

}  // namespace panna_plus::math
