// How far the descriptor values of atoms are from those of the training data, on the device.
#pragma once

#include <vector>

#include "cuda/device_groups.h"
#include "cuda/device_weights.h"
#include "cuda/network_kernel.h"

namespace panna_plus::cuda {

/// Statistics of the training atoms of all elements.
template <class T>
class Extrapolation {
 public:
  /// Copies them to the current device. Without any there is nothing to measure.
  Extrapolation(const PannaParameters &parameters, cudaStream_t stream);

  bool is_known() const { return !is_empty_; }
  /// Numbers of scratch memory that `measure` needs.
  std::size_t scratch_size() const { return is_empty_ ? 0 : scratch_memory(memory_, shared_limit_); }
  /// values (n_centers) from features (n_centers, n_features) of centres sorted by element.
  void measure(const DeviceGroups &groups, T *scratch, const T *features, double *values, cudaStream_t stream) const;
  std::size_t bytes() const { return weights_.bytes() + layers_.bytes() + networks_.bytes() + forms_.bytes(); }

 private:
  bool is_empty_;
  int n_features_;
  std::size_t shared_limit_;
  NetworkMemory<T> memory_{};
  DeviceWeights<T> weights_;
  DeviceArray<LayerView<T>> layers_;
  DeviceArray<NetworkView<T>> networks_;
  DeviceArray<FormView<T>> forms_;
};

extern template class Extrapolation<float>;
extern template class Extrapolation<double>;

}  // namespace panna_plus::cuda
