// A neighbour list on the device, kept until the caller brings another one.
#pragma once

#include <vector>

#include "cuda/device_memory.h"
#include "cuda/neighbor_kernels.h"
#include "cuda/device_groups.h"
#include "system/neighborhood.h"

namespace panna_plus::cuda {

class NeighborList {
 public:
  /// Copies the list of `atoms` to the current device unless it is the one that is there (equal generations other
  /// than 0). with_reverse: also the map from atoms to the entries that name them. A Failure says what is wrong with
  /// centres, species or neighbours.
  void update(const Neighborhood &atoms, int n_elements, bool with_reverse, cudaStream_t stream);

  std::int64_t generation() const { return generation_; }
  std::int64_t n_centers() const { return static_cast<std::int64_t>(centers_.size()); }
  std::int64_t n_entries() const { return start_.back(); }

  /// Sorted by element; the index here is that of all arrays of centres on the device.
  const std::vector<std::int32_t> &centers() const { return centers_; }
  /// The neighbour of an entry, counted from the first of a centre.
  std::int32_t neighbor(std::int64_t center, std::int32_t entry) const;

  const DeviceGroups &groups() const { return groups_; }
  const std::int64_t *start() const { return device_start_.data(); }
  const std::int32_t *center_atoms() const { return device_centers_.data(); }
  const std::int32_t *center_species() const { return center_species_.data(); }
  const std::int32_t *center_of_atom() const { return center_of_atom_.data(); }
  const std::int32_t *species() const { return species_.data(); }
  const std::int32_t *neighbors() const { return neighbors_.data(); }
  ReverseView reverse() const { return {reverse_start_.data(), reverse_entries_.data(), reverse_centers_.data()}; }

 private:
  void sort_centers(const Neighborhood &atoms, int n_elements, cudaStream_t stream);
  void upload_entries(const Neighborhood &atoms, cudaStream_t stream);
  void check_entries(const Neighborhood &atoms, int n_elements, cudaStream_t stream);
  void build_reverse(std::int64_t n_atoms, cudaStream_t stream);

  std::int64_t generation_ = 0;
  std::int32_t mask_ = -1;
  std::vector<std::int32_t> centers_, sorted_species_, index_of_atom_;
  std::vector<std::int64_t> start_{0}, reverse_first_;
  std::vector<unsigned> counts_;
  HostArray<std::int32_t> entries_;
  DeviceGroups groups_;
  DeviceArray<std::int64_t> device_start_, reverse_start_;
  DeviceArray<std::int32_t> device_centers_, center_species_, center_of_atom_, species_, neighbors_, reverse_centers_;
  DeviceArray<std::uint32_t> reverse_entries_, reverse_unsorted_;
  DeviceArray<unsigned> named_;
  DeviceArray<ErrorWord> error_;
};

}  // namespace panna_plus::cuda
