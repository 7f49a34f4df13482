// The perceptrons of a panna model on the device.
#pragma once

#include <vector>

#include "cuda/device_groups.h"
#include "cuda/device_weights.h"
#include "cuda/network_kernel.h"

namespace panna_plus::cuda {

/// Perceptrons of a model, those of all members of a committee.
template <class T>
class Networks {
 public:
  /// Copies weights to the current device and finds the energies of lone atoms.
  Networks(const PannaParameters &parameters, cudaStream_t stream);

  /// Numbers of scratch memory that `apply` needs.
  std::size_t scratch_size() const { return scratch_memory(memory_, shared_limit_); }
  /// One member's energies and dE/dG from the features (n_centers, n_features) of centres sorted by element, groups on
  /// the device. See apply_networks.
  void apply(int member, const DeviceGroups &groups, T *scratch, const T *features, const NetworkOutput<T> &output,
             ErrorWord *error, cudaStream_t stream) const;
  std::size_t bytes() const { return weights_.bytes() + layers_.bytes() + networks_.bytes(); }

 private:
  std::vector<double> lone_atom_energies(int n_members, cudaStream_t stream) const;

  int n_elements_, n_features_;
  std::size_t shared_limit_;
  NetworkMemory<T> memory_{};
  DeviceWeights<T> weights_;
  DeviceArray<LayerView<T>> layers_;
  DeviceArray<NetworkView<T>> networks_;  // (n_members, n_elements)
};

extern template class Networks<float>;
extern template class Networks<double>;

}  // namespace panna_plus::cuda
