// Coulomb energy of two nuclei behind a screening function.
#pragma once

#include "math/smooth_switch.h"

namespace panna_plus::math {

/// Sum over k of c_k exp(-a_k x), and its derivative.
PANNA_HD ValueSlope<double> screening_function(const double (&exponents)[4], const double (&coefficients)[4],
                                               double x) {
  ValueSlope<double> sum{0.0, 0.0};
  for (int k = 0; k < 4; ++k) {
    const double part = coefficients[k] * exp(-exponents[k] * x);
    sum.value += part;
    sum.slope -= exponents[k] * part;
  }
  return sum;
}

/// The product of two functions of r.
PANNA_HD ValueSlope<double> product(ValueSlope<double> a, ValueSlope<double> b) {
  return {a.value * b.value, a.slope * b.value + a.value * b.slope};
}

/// What depends on the two elements: bare r V(r), and what multiplies r to give the screening function's argument.
struct NuclearPair {
  double bare, inverse_length;
};

struct Screening {
  double exponents[4], coefficients[4];
  SwitchRange<double> range;  // in which the repulsion is switched off
};

/// bare / r times the screening function, the switch and an envelope, and the derivative.
PANNA_HD ValueSlope<double> screened_repulsion(const Screening &screening, const NuclearPair &pair, double r,
                                               ValueSlope<double> envelope) {
  ValueSlope<double> screen =
      screening_function(screening.exponents, screening.coefficients, pair.inverse_length * r);
  screen.slope *= pair.inverse_length;
  const ValueSlope<double> bare{pair.bare / r, -pair.bare / (r * r)};
  const ValueSlope<double> end = smooth_switch(r, screening.range, switch_margin(r));
  return product(product(bare, screen), product(end, envelope));
}

}  // namespace panna_plus::math
