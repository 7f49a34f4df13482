#include "cuda/extrapolation.h"

#include <algorithm>

#include "cuda/device.h"

namespace panna_plus::cuda {

template <class T>
Extrapolation<T>::Extrapolation(const PannaParameters &parameters, cudaStream_t stream)
    : is_empty_(parameters.statistics.empty()),
      n_features_(parameters.n_features()),
      shared_limit_(shared_memory_limit()) {
  std::vector<LayerView<T>> layers;
  std::vector<NetworkView<T>> networks;
  std::vector<FormView<T>> forms;
  memory_.n_blocks = blocks_that_fill();
  for (const PannaStatistics &statistics : parameters.statistics) {
    const int n = statistics.n_components();
    networks.push_back({int(layers.size()), 1, weights_.keep(statistics.mean, stream),
                        weights_.keep_inverse(statistics.deviation, stream), 0.0, 0.0});
    layers.push_back(
        weights_.keep(DenseLayer{n_features_, n, math::Activation::linear, statistics.components, {}}, stream));
    forms.push_back({weights_.keep(statistics.weights, stream), T(statistics.weight_beside)});
    memory_.widest = std::max({memory_.widest, n_features_, n});
  }
  layers_ = on_device(layers, stream);
  networks_ = on_device(networks, stream);
  forms_ = on_device(forms, stream);
}

template <class T>
void Extrapolation<T>::measure(const DeviceGroups &groups, T *scratch, const T *features, double *values,
                               cudaStream_t stream) const {
  NetworkMemory<T> memory = memory_;
  memory.scratch = scratch;
  measure_extrapolation({groups.view(), n_features_, features, networks_.data(), layers_.data()}, forms_.data(), memory,
                        shared_limit_, values, stream);
}

template class Extrapolation<float>;
template class Extrapolation<double>;

}  // namespace panna_plus::cuda
