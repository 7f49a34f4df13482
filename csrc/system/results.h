#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

namespace panna_plus {

/// The pair that comes closest to (or goes furthest below) the training data's shortest distance.
struct ClosestPair {
  double ratio = std::numeric_limits<double>::infinity();
  double distance = 0.0;  // angstrom
  std::int64_t center = -1, neighbor = -1;

  void consider(double distance_, double shortest, std::int64_t i, std::int64_t j) {
    // Elements that never met in training (shortest 0) have no yardstick.
    if (shortest > 0.0 && distance_ < ratio * shortest) *this = {distance_ / shortest, distance_, i, j};
  }
};

/// Numbers per atom beside energies and forces: values (n_atoms), set for centres.
struct Detail {
  const char *name;
  double *values;
};

/// Where results are added; arrays may be null (not wanted).
/// Virials are -r (x) dE/dr; 6 components xx yy zz xy xz yz (symmetrised), 9 append yx zx zy.
struct Results {
  double energy = 0.0;
  double virial[6] = {};
  double *atomic_energies = nullptr;   // (n_atoms)
  double *forces = nullptr;            // (n_atoms, 3)
  double *atomic_virials = nullptr;    // (n_atoms, 6)
  double *centroid_virials = nullptr;  // (n_atoms, 9)
  ClosestPair closest;
  const Detail *details = nullptr;  // (n_details)
  int n_details = 0;
  // Of the members of a committee; its own energy and forces are their means.
  double *member_energies = nullptr;  // (n_members)
  double *member_forces = nullptr;    // (n_members, n_atoms, 3)

  /// Where a detail goes, or null if nobody wants it.
  double *detail(const char *name) const;

  /// Adds the consequences of dE_i/dr_ij for one (centre, neighbour) pair.
  void add_pair(std::int64_t i, std::int64_t j, const double r[3], const double gradient[3]);
  void add_atomic_energy(std::int64_t i, double value);
};

inline double *Results::detail(const char *name) const {
  for (int d = 0; d < n_details; ++d) {
    if (std::strcmp(details[d].name, name) == 0) return details[d].values;
  }
  return nullptr;
}

inline void Results::add_atomic_energy(std::int64_t i, double value) {
  energy += value;
  if (atomic_energies) atomic_energies[i] += value;
}

inline void Results::add_pair(std::int64_t i, std::int64_t j, const double r[3], const double gradient[3]) {
  if (forces) {
    for (int a = 0; a < 3; ++a) {
      forces[3 * i + a] += gradient[a];
      forces[3 * j + a] -= gradient[a];
    }
  }
  const double full[9] = {-r[0] * gradient[0], -r[1] * gradient[1], -r[2] * gradient[2],
                          -r[0] * gradient[1], -r[0] * gradient[2], -r[1] * gradient[2],
                          -r[1] * gradient[0], -r[2] * gradient[0], -r[2] * gradient[1]};
  const double symmetric[6] = {
      full[0], full[1], full[2], 0.5 * (full[3] + full[6]), 0.5 * (full[4] + full[7]), 0.5 * (full[5] + full[8])};
  for (int a = 0; a < 6; ++a) virial[a] += symmetric[a];
  if (atomic_virials) {
    for (int a = 0; a < 6; ++a) {
      atomic_virials[6 * i + a] += 0.5 * symmetric[a];
      atomic_virials[6 * j + a] += 0.5 * symmetric[a];
    }
  }
  if (centroid_virials) {
    for (int a = 0; a < 9; ++a) centroid_virials[9 * j + a] += full[a];
  }
}

}  // namespace panna_plus
