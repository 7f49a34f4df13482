// Dispersion of a pair of quantum Drude oscillators, damped at short distance; atomic units.
#pragma once

#include "math/elementary.h"

namespace panna_plus::math {

constexpr double bohr = 0.5291772105638411;       // angstrom, CODATA 2014
constexpr double hartree = 27.211386024367243;    // eV
constexpr double fine_structure = 0.007297352566206496;

PANNA_HD float seventh_root(float x) { return std::pow(x, 1.0f / 7.0f); }
PANNA_HD double seventh_root(double x) { return std::pow(x, 1.0 / 7.0); }

/// What multiplies the seventh root of a polarizability: to give the van der Waals radius and the damping radius.
template <class V>
struct OscillatorRadii {
  V van_der_waals, damping;
};

/// `scale` is that of the damping radius, 2 * 2.54 alpha^(1/7) without.
inline OscillatorRadii<double> oscillator_radii(double scale) {
  return {std::pow(fine_structure, -4.0 / 21.0), 2.0 * 2.54 * scale};
}

/// Sum over n = 6, 8, 10 of (C_n / C_6) / (R^n + p^n), and its derivatives.
template <class V>
struct DampedPowers {
  V value, by_squared_distance, by_polarizability;
};

/// C_8 / C_6 = 10 w^2 and C_10 / C_6 = 122.5 w^4 with w the width of the oscillators, a polynomial of the van der Waals
/// radius; `alpha` is the mean polarizability of the pair.
template <class V>
PANNA_HD DampedPowers<V> damped_powers(const OscillatorRadii<V> &radii, V squared_distance, V alpha) {
  const V one(1), root = seventh_root(alpha);
  const V radius = radii.van_der_waals * root;
  const V width = V(-0.00433008) + radius * (V(0.24428889) + radius * (V(0.04125273) - radius * V(0.00078893)));
  const V width_slope = V(0.24428889) + radius * (V(2 * 0.04125273) - radius * V(3 * 0.00078893));
  const V w2 = width * width, c8 = V(10) * w2, c10 = V(122.5) * w2 * w2;
  const V p = radii.damping * root, p2 = p * p, p4 = p2 * p2, p6 = p4 * p2, p8 = p4 * p4;
  const V r2 = squared_distance, r4 = r2 * r2, r6 = r4 * r2, r8 = r4 * r4;
  const V d6 = one / (r6 + p6), d8 = one / (r8 + p8), d10 = one / (r8 * r2 + p8 * p2);
  const V t8 = c8 * d8, t10 = c10 * d10;
  // Logarithmic derivatives by p and by w.
  const V by_p = V(-6) * p6 * d6 * d6 - V(8) * p8 * d8 * t8 - V(10) * p8 * p2 * d10 * t10;
  const V by_w = V(2) * t8 + V(4) * t10;
  return {d6 + t8 + t10, -(V(3) * r4 * d6 * d6 + V(4) * r6 * d8 * t8 + V(5) * r8 * d10 * t10),
          (by_p + by_w * radius * width_slope / width) / (V(7) * alpha)};
}

}  // namespace panna_plus::math
