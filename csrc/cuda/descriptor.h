// The descriptor of a panna model on the device: all launches for all of its functions.
#pragma once

#include <vector>

#include "cuda/device_memory.h"
#include "cuda/neighbor_kernels.h"
#include "cuda/descriptor_kernels.h"
#include "potential/panna_parameters.h"

namespace panna_plus::cuda {

/// Sides of the larger and the smaller tile that kernels exist for: registers hold 64 sums in float.
template <class T>
constexpr int wide_tile = sizeof(T) == 4 ? 8 : 4;
constexpr int narrow_tile = 4;

/// Descriptor of a model: launches all of its tiles.
template <class T>
class Descriptor {
 public:
  /// Copies what it needs to the current device.
  Descriptor(const PannaParameters &parameters, cudaStream_t stream);

  const DescriptorView<T> &view() const { return view_; }
  double cutoff() const { return cutoff_; }
  /// Cutoffs for sort_neighbors, the pointers still null.
  SortLimits<T> limits() const;
  std::size_t bytes() const;

  /// features (n_centers, n_features).
  void describe(const SlotView<T> &slots, T *features, cudaStream_t stream) const;
  /// features (n_centers, n_features) = the change of the features along tangents (entries, 3).
  void tangent(const SlotView<T> &slots, const T *tangents, T *features, cudaStream_t stream) const;
  /// gradients (entries, 3) of the entries inside the cutoff, from g (n_centers, n_features). slot_gradients (slots, 3)
  /// is scratch; sums as in contract_radial.
  void contract(const SlotView<T> &slots, const T *g, T *slot_gradients, T *gradients, double *sums,
                cudaStream_t stream) const;

 private:
  struct Grid;

  Grid mbp_grid(const PannaAngular &angular) const;
  Grid bp_grid(const PannaAngular &angular) const;
  template <int N>
  void add_tiles(const Grid &grid, std::vector<AngularTile<T, N, N>> &tiles, cudaStream_t stream);
  template <class Visit>
  void for_each_tile(Visit visit) const;

  DescriptorView<T> view_{};
  bool is_bp_ = false;
  double cutoff_ = 0.0, radial_cutoff_ = 0.0, angular_cutoff_ = 0.0;
  std::vector<AngularTile<T, wide_tile<T>, wide_tile<T>>> wide_tiles_;
  std::vector<AngularTile<T, narrow_tile, narrow_tile>> narrow_tiles_;
  DeviceArray<math::Shell<T>> radial_;
  std::vector<DeviceArray<int>> integers_;
};

extern template class Descriptor<float>;
extern template class Descriptor<double>;

}  // namespace panna_plus::cuda
