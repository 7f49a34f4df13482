#include "cpu/partial_results.h"

#include <cstddef>

namespace panna_plus {
namespace {

double *zeroed(std::vector<double> &values, const double *wanted, std::int64_t n) {
  if (!wanted) return nullptr;
  values.assign(static_cast<std::size_t>(n), 0.0);
  return values.data();
}

void add(double *total, const double *part, std::int64_t n) {
  if (!total) return;
  for (std::int64_t k = 0; k < n; ++k) total[k] += part[k];
}

}  // namespace

void PartialResults::reset(const Results &wanted, std::int64_t n_atoms, int n_members) {
  results_ = Results();
  // Every centre has one thread.
  results_.atomic_energies = wanted.atomic_energies;
  results_.details = wanted.details;
  results_.n_details = wanted.n_details;
  results_.member_energies = zeroed(member_energies_, wanted.member_energies, n_members);
  results_.member_forces = zeroed(member_forces_, wanted.member_forces, 3 * n_atoms * n_members);
  results_.forces = zeroed(forces_, wanted.forces, 3 * n_atoms);
  results_.atomic_virials = zeroed(atomic_virials_, wanted.atomic_virials, 6 * n_atoms);
  results_.centroid_virials = zeroed(centroid_virials_, wanted.centroid_virials, 9 * n_atoms);
}

void PartialResults::add_to(Results &total, std::int64_t n_atoms, int n_members) const {
  total.energy += results_.energy;
  for (int a = 0; a < 6; ++a) total.virial[a] += results_.virial[a];
  if (results_.closest.ratio < total.closest.ratio) total.closest = results_.closest;
  add(total.forces, forces_.data(), 3 * n_atoms);
  add(total.atomic_virials, atomic_virials_.data(), 6 * n_atoms);
  add(total.centroid_virials, centroid_virials_.data(), 9 * n_atoms);
  add(total.member_energies, member_energies_.data(), n_members);
  add(total.member_forces, member_forces_.data(), 3 * n_atoms * n_members);
}

}  // namespace panna_plus
