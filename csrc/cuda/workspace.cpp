#include "cuda/workspace.h"

#include <cmath>
#include <cstring>

#include "cuda/parts.h"
#include "potential/potential.h"

namespace panna_plus::cuda {
namespace {

std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Components of one atom in each array of results.
constexpr std::size_t n_force = 3, n_atomic_virial = 6, n_centroid_virial = 9;

void bring(bool is_wanted, HostArray<double> &host, const DeviceArray<double> &device, std::size_t n,
           cudaStream_t stream) {
  if (is_wanted) download(host.reserve(n), device.data(), n, stream);
}

/// Numbers that are worth a thread.
constexpr std::size_t least_part = 100000;

void add(double *total, const HostArray<double> &part, std::size_t n, int n_threads, double share = 1.0) {
  if (!total) return;
  in_parts(n, least_part, n_threads, [&](std::size_t first, std::size_t end) {
    for (std::size_t k = first; k < end; ++k) total[k] += share * part.data()[k];
  });
}

}  // namespace

template <class T>
void Workspace<T>::fit(const Neighborhood &atoms, const DescriptorView<T> &d, std::size_t scratch_size,
                       const Results &wanted) {
  const std::size_t n_centers = size_of(list.n_centers()), n_entries = size_of(list.n_entries());
  const std::size_t n_atoms = size_of(atoms.n_atoms);
  n_atoms_ = atoms.n_atoms;
  fit_slots(d.n_species);
  pair_gradients.reserve(3 * n_entries);
  if (d.n_angular > 0) slot_gradients.reserve(3 * n_entries);
  features.reserve(n_centers * size_of(d.n_features));
  network_scratch.reserve(scratch_size);
  energies.reserve(n_centers);
  center_sums.reserve(n_centers * n_center_sums);
  closest_.reserve(n_centers);
  closest_entry_.reserve(n_centers);
  totals.reserve(size_of(n_totals()));
  error.reserve(1);
  positions_.reserve(n_force * n_atoms);
  forces_.reserve(n_force * n_atoms);
  if (wanted.atomic_virials) atomic_virials_.reserve(n_atomic_virial * n_atoms);
  if (wanted.centroid_virials) centroid_virials_.reserve(n_centroid_virial * n_atoms);
}

template <class T>
void Workspace<T>::fit_beside(const DescriptorView<T> &d, bool has_gradients, bool has_extrapolations) {
  const std::size_t n_centers = size_of(list.n_centers());
  if (has_gradients) feature_gradients.reserve(n_centers * size_of(d.n_features));
  if (has_extrapolations) extrapolations.reserve(n_centers);
}

template <class T>
void Workspace<T>::fit_slots(int n_species) {
  const auto cut = [&](Cutter cutter) {
    slots_ = cut_slots<T>(cutter, list.start(), list.n_centers(), list.n_entries(), n_species);
    return cutter.bytes();
  };
  const std::size_t bytes = cut(Cutter(nullptr));
  cut(Cutter(slot_memory_.reserve(bytes)));
}

template <class T>
SortLimits<T> Workspace<T>::limits(SortLimits<T> cutoffs, const double *closeness) {
  cutoffs.closeness = closeness;
  cutoffs.closest = closest_.data();
  cutoffs.closest_entry = closest_entry_.data();
  cutoffs.center_species = list.center_species();
  return cutoffs;
}

template <class T>
PositionSource Workspace<T>::source() const {
  return {positions_.data(), list.species(), list.center_atoms(), list.neighbors()};
}

template <class T>
PairGradients<T> Workspace<T>::gradients() const {
  return {n_atoms_, positions_.data(), pair_gradients.data(), center_sums.data(), list.center_of_atom()};
}

template <class T>
AtomResults Workspace<T>::atom_results(const Results &wanted) const {
  return {forces_.data(), wanted.atomic_virials ? atomic_virials_.data() : nullptr,
          wanted.centroid_virials ? centroid_virials_.data() : nullptr};
}

template <class T>
void Workspace<T>::start(const Neighborhood &atoms) {
  const std::size_t n = n_force * size_of(atoms.n_atoms);
  double *const staged = host_positions_.reserve(n);
  in_parts(n, least_part, atoms.n_threads, [&](std::size_t first, std::size_t end) {
    if (end > first) std::memcpy(staged + first, atoms.positions + first, (end - first) * sizeof(double));
  });
  upload(positions_.data(), host_positions_.data(), n, stream);
  fill_bytes(error.data(), 0xff, 1, stream);
}

template <class T>
void Workspace<T>::finish(const Neighborhood &atoms, const Results &wanted) {
  const std::size_t n_atoms = size_of(atoms.n_atoms), n_centers = size_of(list.n_centers());
  total_centers(list.n_centers(), energies.data(), center_sums.data(), closest_.data(), closest_entry_.data(),
                totals.data(), stream);
  download(host_totals_.reserve(size_of(n_totals())), totals.data(), size_of(n_totals()), stream);
  bring(wanted.atomic_energies, host_energies_, energies, n_centers, stream);
  bring(wanted.forces || wanted.member_forces, host_forces_, forces_, n_force * n_atoms, stream);
  bring(wanted.atomic_virials, host_atomic_virials_, atomic_virials_, n_atomic_virial * n_atoms, stream);
  bring(wanted.centroid_virials, host_centroid_virials_, centroid_virials_, n_centroid_virial * n_atoms, stream);
  bring(wanted.detail(extrapolation_detail), host_extrapolations_, extrapolations, n_centers, stream);
  download(host_error.reserve(1), error.data(), 1, stream);
  stream.synchronize();
}

template <class T>
void Workspace<T>::add_to(const Neighborhood &atoms, Results &results, double share) const {
  for (std::int64_t k = 0; k < n_totals(); ++k) {
    const CenterTotals &part = host_totals_.data()[k];
    results.energy += share * part.energy;
    for (int a = 0; a < 6; ++a) results.virial[a] += share * part.virial[a];
  }
  for (std::size_t n = 0; results.atomic_energies && n < list.centers().size(); ++n) {
    results.atomic_energies[list.centers()[n]] += share * host_energies_.data()[n];
  }
  const std::size_t n_atoms = size_of(atoms.n_atoms);
  add(results.forces, host_forces_, n_force * n_atoms, atoms.n_threads, share);
  add(results.atomic_virials, host_atomic_virials_, n_atomic_virial * n_atoms, atoms.n_threads, share);
  add(results.centroid_virials, host_centroid_virials_, n_centroid_virial * n_atoms, atoms.n_threads, share);
}

template <class T>
void Workspace<T>::add_to_member(int member, const Neighborhood &atoms, Results &results) const {
  for (std::int64_t k = 0; results.member_energies && k < n_totals(); ++k) {
    results.member_energies[member] += host_totals_.data()[k].energy;
  }
  if (!results.member_forces) return;
  const std::size_t n = n_force * size_of(atoms.n_atoms);
  add(results.member_forces + n * std::size_t(member), host_forces_, n, atoms.n_threads);
}

template <class T>
void Workspace<T>::consider_closest(const Neighborhood &atoms, Results &results, const double *shortest_distances,
                                    int n_elements) const {
  const CenterTotals *closest = nullptr;
  for (std::int64_t k = 0; k < n_totals(); ++k) {
    const CenterTotals &part = host_totals_.data()[k];
    if (part.closest_center >= 0 && (!closest || part.closest < closest->closest)) closest = &part;
  }
  if (!closest) return;
  const std::int64_t i = list.centers()[size_of(closest->closest_center)];
  const std::int64_t j = list.neighbor(closest->closest_center, closest->closest_entry);
  const double *x_i = atoms.positions + 3 * i, *x_j = atoms.positions + 3 * j;
  const double r[3] = {x_j[0] - x_i[0], x_j[1] - x_i[1], x_j[2] - x_i[2]};
  const double shortest = shortest_distances[std::int64_t(atoms.species[i]) * n_elements + atoms.species[j]];
  results.closest.consider(std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), shortest, i, j);
}

template <class T>
void Workspace<T>::set_extrapolations(double *values) const {
  for (std::size_t n = 0; n < list.centers().size(); ++n) {
    values[list.centers()[n]] = host_extrapolations_.data()[n];
  }
}

template class Workspace<float>;
template class Workspace<double>;

}  // namespace panna_plus::cuda
