// The perceptrons of a panna model on the device.
#pragma once

#include <vector>

#include "cuda/device_memory.h"
#include "cuda/network_kernel.h"
#include "potential/panna_parameters.h"

namespace panna_plus::cuda {

/// How many centres of each element there are, in the form that apply_networks takes.
class DeviceGroups {
 public:
  /// n_centers_of: (n_elements).
  void set(const std::vector<std::int64_t> &n_centers_of, cudaStream_t stream);

  const std::int64_t *first_center() const { return starts_.data(); }
  const std::int64_t *first_group() const { return starts_.data() + n_elements_ + 1; }
  std::int64_t n_groups() const { return n_groups_; }

 private:
  std::size_t n_elements_ = 0;
  std::int64_t n_groups_ = 0;
  DeviceArray<std::int64_t> starts_;
};

/// Perceptrons of a model.
template <class T>
class Networks {
 public:
  /// Copies weights to the current device and finds the energies of lone atoms.
  Networks(const PannaParameters &parameters, cudaStream_t stream);

  /// Numbers of scratch memory that `apply` needs.
  std::size_t scratch_size() const;
  /// Energies (n_centers) of centres sorted by element, groups on the device; the features (n_centers, n_features)
  /// become dE/dG. See apply_networks.
  void apply(const DeviceGroups &groups, T *scratch, T *features, double *energies, ErrorWord *error,
             cudaStream_t stream) const;
  std::size_t bytes() const;

 private:
  const T *keep(const std::vector<double> &values, cudaStream_t stream);
  LayerView<T> layer(const DenseLayer &layer, cudaStream_t stream);
  std::vector<double> lone_atom_energies(cudaStream_t stream) const;

  int n_elements_, n_features_;
  std::size_t shared_limit_;
  NetworkMemory<T> memory_{};
  std::vector<DeviceArray<T>> numbers_;
  DeviceArray<LayerView<T>> layers_;
  DeviceArray<NetworkView<T>> networks_;
};

extern template class Networks<float>;
extern template class Networks<double>;

}  // namespace panna_plus::cuda
