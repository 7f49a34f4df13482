// Memory of one evaluation, kept for the next one.
#pragma once

#include <vector>

#include "cuda/descriptor.h"
#include "cuda/device_memory.h"
#include "cuda/force_kernels.h"
#include "cuda/neighbor_list.h"
#include "cuda/slot_memory.h"
#include "system/results.h"

namespace panna_plus::cuda {

template <class T>
class Workspace {
 public:
  Stream stream;
  NeighborList list;

  /// Memory for the list as it is now and for what `wanted` asks for.
  void fit(const Neighborhood &atoms, const DescriptorView<T> &d, std::size_t network_scratch, const Results &wanted);
  /// The same for what beside energies and forces there is: dE/dG apart from the features, extrapolations.
  void fit_beside(const DescriptorView<T> &d, bool has_gradients, bool has_extrapolations);

  const SlotView<T> &slots() const { return slots_; }
  SortLimits<T> limits(SortLimits<T> cutoffs, const double *closeness);
  PositionSource source() const;
  PairGradients<T> gradients() const;
  AtomResults atom_results(const Results &wanted) const;

  /// Positions to the device, and a clean error word.
  void start(const Neighborhood &atoms);
  /// Results to the host; returns when they are there.
  void finish(const Neighborhood &atoms, const Results &wanted);
  /// Adds `share` of what `finish` brought.
  void add_to(const Neighborhood &atoms, Results &results, double share) const;
  /// Adds energy and forces that `finish` brought to those of a member.
  void add_to_member(int member, const Neighborhood &atoms, Results &results) const;
  void consider_closest(const Neighborhood &atoms, Results &results, const double *shortest_distances,
                        int n_elements) const;
  /// Sets the extrapolations (n_atoms) of centres.
  void set_extrapolations(double *values) const;

  DeviceArray<T> features, feature_gradients, slot_gradients, pair_gradients, network_scratch;
  DeviceArray<double> energies, center_sums, extrapolations;
  DeviceArray<ErrorWord> error;
  HostArray<ErrorWord> host_error;
  DeviceArray<CenterTotals> totals;

 private:
  void fit_slots(int n_species);
  std::int64_t n_totals() const { return (list.n_centers() + centers_per_total - 1) / centers_per_total; }

  SlotView<T> slots_{};
  std::int64_t n_atoms_ = 0;
  DeviceArray<unsigned char> slot_memory_;
  DeviceArray<double> positions_, closest_, forces_, atomic_virials_, centroid_virials_;
  DeviceArray<std::int32_t> closest_entry_;
  HostArray<double> host_positions_, host_energies_, host_forces_, host_atomic_virials_, host_centroid_virials_;
  HostArray<double> host_extrapolations_;
  HostArray<CenterTotals> host_totals_;
};

extern template class Workspace<float>;
extern template class Workspace<double>;

}  // namespace panna_plus::cuda
