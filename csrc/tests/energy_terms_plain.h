// The energy terms as plain formulas, written down a second time.
#pragma once

#include <cmath>
#include <vector>

#include "energy_terms_systems.h"

namespace panna_plus::test {

inline double value_of(const AtomHead &head, int species, const double *x) {
  double value = head.offset[std::size_t(species)];
  for (int h = 0; h < head.n_hidden; ++h) {
    double z = head.bias[std::size_t(h)];
    for (int f = 0; f < n_features; ++f) z += head.inner[std::size_t(h * n_features + f)] * x[f];
    value += head.outer[std::size_t(species * head.n_hidden + h)] * z / (1.0 + std::exp(-z));
  }
  return value;
}

inline double plain_switch(double r, double on, double off) {
  const double t = (r - on) / (off - on);
  const double falling = t < 1.0 ? std::exp(-1.0 / (1.0 - t)) : 0.0, rising = t > 0.0 ? std::exp(-1.0 / t) : 0.0;
  return falling / (falling + rising);
}

inline double plain_repulsion(const RepulsionParameters &p, int a, int b, double r) {
  const double za = p.numbers[std::size_t(a)], zb = p.numbers[std::size_t(b)];
  double screening = 0.0;
  for (std::size_t k = 0; k < 4; ++k) {
    screening += p.coefficients[k] *
                 std::exp(-p.exponents[k] * r * (std::pow(za, p.power) + std::pow(zb, p.power)) * p.screening);
  }
  const double x = r / quintic.cutoff, envelope = 1.0 - 10.0 * x * x * x + 15.0 * std::pow(x, 4) - 6.0 * std::pow(x, 5);
  return 0.5 * 14.399645351950548 * za * zb / r * screening * plain_switch(r, 0.0, p.end) * envelope;
}

inline double plain_electrostatics(const ElectrostaticsParameters &p, double charges, double r) {
  const double s = p.width, end = long_cutoff;
  const double at_end = std::erf(end / s) / end;
  const double slope =
      2.0 * std::exp(-end * end / (s * s)) / (std::sqrt(math::pi) * s * end) - std::erf(end / s) / (end * end);
  const double f = plain_switch(r, p.switch_start, end), shifted = std::erf(r / s) / r - at_end;
  return 0.5 * 14.399645351950548 * charges * (f * shifted + (1.0 - f) * (shifted - slope * (r - end)));
}

inline double plain_dispersion(const DispersionParameters &p, int a, int b, double h_a, double h_b, double r) {
  const double alpha_a = p.polarizabilities[std::size_t(a)] * h_a, alpha_b = p.polarizabilities[std::size_t(b)] * h_b;
  const double c_a = p.coefficients[std::size_t(a)] * h_a * h_a, c_b = p.coefficients[std::size_t(b)] * h_b * h_b;
  const double c6 =
      2.0 * c_a * c_b * alpha_a * alpha_b / (alpha_a * alpha_a * c_b + alpha_b * alpha_b * c_a);
  const double root = std::pow(0.5 * (alpha_a + alpha_b), 1.0 / 7.0);
  const double radius = std::pow(0.007297352566206496, -4.0 / 21.0) * root;
  const double width = -0.00433008 + 0.24428889 * radius + 0.04125273 * radius * radius -
                       0.00078893 * radius * radius * radius;
  const double g = 1.0 / (2.0 * width * width), damping = p.scale * 2.0 * 2.54 * root;
  const double distance = r / 0.5291772105638411, c8 = 5.0 * c6 / g, c10 = 245.0 * c6 / (8.0 * g * g);
  const double sum = c6 / (std::pow(distance, 6) + std::pow(damping, 6)) +
                     c8 / (std::pow(distance, 8) + std::pow(damping, 8)) +
                     c10 / (std::pow(distance, 10) + std::pow(damping, 10));
  return -0.5 * 27.211386024367243 * plain_switch(r, p.switch_start, long_cutoff) * sum;
}

/// The five details of all centres.
inline std::vector<Numbers> plain_details(const EnergyTermsParameters &terms, const System &system) {
  const std::size_t n = std::size_t(system.cluster.n_atoms());
  const auto &species = system.cluster.species;
  std::vector<Numbers> values(5, Numbers(n, 0.0));
  double sum = 0.0, count = 0.0;
  for (std::size_t row = 0; row < n; ++row) {
    if (species[row] < 0) continue;
    const double *x = system.features.data() + row * n_features;
    if (terms.electrostatics) values[3][row] = value_of(terms.electrostatics->charges, species[row], x);
    if (terms.dispersion) values[4][row] = std::fabs(value_of(terms.dispersion->ratios, species[row], x));
    if (row < system.cluster.centers.size()) {
      sum += values[3][row];
      count += 1.0;
    }
  }
  if (terms.electrostatics) {
    for (std::size_t row = 0; row < n; ++row) {
      if (species[row] >= 0) values[3][row] += (system.total_charge - sum) / count;
    }
  }
  for (const std::int32_t i : system.cluster.centers) {
    for (std::size_t j = 0; j < n; ++j) {
      const std::size_t c = std::size_t(i);
      if (j == c || species[c] < 0 || species[j] < 0) continue;
      double squared = 0.0;
      for (std::size_t a = 0; a < 3; ++a) {
        squared += std::pow(system.cluster.positions[3 * j + a] - system.cluster.positions[3 * c + a], 2);
      }
      const double r = std::sqrt(squared);
      if (terms.repulsion && r < terms.repulsion->end) {
        values[0][c] += plain_repulsion(*terms.repulsion, species[c], species[j], r);
      }
      if (r >= long_cutoff) continue;
      if (terms.electrostatics) {
        values[1][c] += plain_electrostatics(*terms.electrostatics, values[3][c] * values[3][j], r);
      }
      if (terms.dispersion) {
        values[2][c] += plain_dispersion(*terms.dispersion, species[c], species[j], values[4][c], values[4][j], r);
      }
    }
  }
  // Of atoms of other processes nothing is set.
  for (Numbers &each : values) {
    for (std::size_t row = system.cluster.centers.size(); row < n; ++row) each[row] = 0.0;
  }
  return values;
}

}  // namespace panna_plus::test
