// Layers of perceptrons and other weights on the device, in the form that kernels take.
#pragma once

#include <vector>

#include "cuda/device_memory.h"
#include "cuda/views.h"
#include "potential/panna_parameters.h"

namespace panna_plus::cuda {

/// Owns the numbers of one model; views of them stay valid as long as it lives.
template <class T>
class DeviceWeights {
 public:
  const T *keep(const std::vector<double> &values, cudaStream_t stream);
  /// The inverses of `values`.
  const T *keep_inverse(const std::vector<double> &values, cudaStream_t stream);
  LayerView<T> keep(const DenseLayer &layer, cudaStream_t stream);
  std::size_t bytes() const;

 private:
  std::vector<DeviceArray<T>> numbers_;
};

extern template class DeviceWeights<float>;
extern template class DeviceWeights<double>;

}  // namespace panna_plus::cuda
