#include "cuda/networks.h"

#include <algorithm>

#include "cuda/device.h"

namespace panna_plus::cuda {

template <class T>
Networks<T>::Networks(const PannaParameters &parameters, cudaStream_t stream)
    : n_elements_(parameters.n_elements), n_features_(parameters.n_features()), shared_limit_(shared_memory_limit()) {
  std::vector<LayerView<T>> layers;
  std::vector<NetworkView<T>> networks;
  memory_.n_blocks = blocks_that_fill();
  for (const PannaNetwork &network : parameters.networks) {
    networks.push_back({int(layers.size()), int(network.layers.size()), weights_.keep(network.feature_mean, stream),
                        weights_.keep_inverse(network.feature_scale, stream), 0.0, 0.0});
    int n_slopes = 0;
    memory_.widest = std::max(memory_.widest, network.layers.front().n_in);
    for (const DenseLayer &dense : network.layers) {
      layers.push_back(weights_.keep(dense, stream));
      memory_.widest = std::max(memory_.widest, dense.n_out);
      n_slopes += dense.n_out;
    }
    memory_.n_slopes = std::max(memory_.n_slopes, n_slopes);
  }
  layers_ = on_device(layers, stream);
  networks_ = on_device(networks, stream);
  std::vector<double> lone(networks.size(), 0.0);
  if (parameters.subtract_lone_atom) lone = lone_atom_energies(parameters.n_members, stream);
  for (std::size_t s = 0; s < networks.size(); ++s) {
    networks[s].reference = parameters.reference_energies[s];
    networks[s].lone_atom = lone[s];
  }
  networks_ = on_device(networks, stream);
}

template <class T>
void Networks<T>::apply(int member, const DeviceGroups &groups, T *scratch, const T *features,
                        const NetworkOutput<T> &output, ErrorWord *error, cudaStream_t stream) const {
  const NetworkInput<T> input{groups.view(), n_features_, features, networks_.data() + member * n_elements_,
                              layers_.data()};
  NetworkMemory<T> memory = memory_;
  memory.scratch = scratch;
  apply_networks(input, memory, shared_limit_, output, error, stream);
}

/// The perceptrons (n_members, n_elements) at zero neighbours, by the very kernel that evaluates atoms: a lone atom has
/// exactly its reference energy.
template <class T>
std::vector<double> Networks<T>::lone_atom_energies(int n_members, cudaStream_t stream) const {
  const std::size_t n = std::size_t(n_elements_), n_numbers = n * std::size_t(n_features_);
  DeviceGroups groups;
  groups.set(std::vector<std::int64_t>(n, 1), stream);
  DeviceArray<T> scratch, features, gradients;
  DeviceArray<double> energies;
  DeviceArray<ErrorWord> ignored;
  fill_bytes(features.reserve(n_numbers), 0, n_numbers, stream);
  fill_bytes(ignored.reserve(1), 0xff, 1, stream);
  std::vector<double> found(n * std::size_t(n_members));
  for (int m = 0; m < n_members; ++m) {
    const NetworkOutput<T> output{gradients.reserve(n_numbers), energies.reserve(n), 1.0, false};
    apply(m, groups, scratch.reserve(scratch_size()), features.data(), output, ignored.data(), stream);
    download(found.data() + n * std::size_t(m), energies.data(), n, stream);
    require_success(cudaStreamSynchronize(stream), "the evaluation of lone atoms");
  }
  return found;
}

template class Networks<float>;
template class Networks<double>;

}  // namespace panna_plus::cuda
