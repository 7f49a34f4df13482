#include "cuda/networks.h"

#include <algorithm>

#include "cuda/device.h"

namespace panna_plus::cuda {
namespace {

int rounded_up(int n) { return (n + network_tile - 1) / network_tile * network_tile; }

/// A matrix (rows, columns), or its transpose, with rows of `stride` numbers.
std::vector<double> padded(const std::vector<double> &matrix, int rows, int columns, int stride, bool transposed) {
  std::vector<double> out(std::size_t(transposed ? columns : rows) * std::size_t(stride), 0.0);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const std::size_t to = transposed ? std::size_t(c) * stride + r : std::size_t(r) * stride + c;
      out[to] = matrix[std::size_t(r) * columns + c];
    }
  }
  return out;
}

}  // namespace

void DeviceGroups::set(const std::vector<std::int64_t> &n_centers_of, cudaStream_t stream) {
  n_elements_ = n_centers_of.size();
  std::vector<std::int64_t> starts(2 * n_elements_ + 2, 0);
  std::int64_t *const center = starts.data(), *const group = center + n_elements_ + 1;
  for (std::size_t s = 0; s < n_elements_; ++s) {
    center[s + 1] = center[s] + n_centers_of[s];
    group[s + 1] = group[s] + (n_centers_of[s] + network_centers - 1) / network_centers;
  }
  n_groups_ = starts.back();
  upload(starts_.reserve(starts.size()), starts.data(), starts.size(), stream);
  // `starts` is gone when this returns.
  require_success(cudaStreamSynchronize(stream), "a copy to the device");
}

template <class T>
Networks<T>::Networks(const PannaParameters &parameters, cudaStream_t stream)
    : n_elements_(parameters.n_elements), n_features_(parameters.n_features()), shared_limit_(shared_memory_limit()) {
  std::vector<LayerView<T>> layers;
  std::vector<NetworkView<T>> networks;
  memory_.n_blocks = blocks_that_fill();
  for (const PannaNetwork &network : parameters.networks) {
    std::vector<double> inverse;
    for (const double scale : network.feature_scale) inverse.push_back(1.0 / scale);
    networks.push_back({int(layers.size()), int(network.layers.size()), keep(network.feature_mean, stream),
                        keep(inverse, stream), 0.0, 0.0});
    int n_slopes = 0;
    memory_.widest = std::max(memory_.widest, network.layers.front().n_in);
    for (const DenseLayer &dense : network.layers) {
      layers.push_back(layer(dense, stream));
      memory_.widest = std::max(memory_.widest, dense.n_out);
      n_slopes += dense.n_out;
    }
    memory_.n_slopes = std::max(memory_.n_slopes, n_slopes);
  }
  layers_ = on_device(layers, stream);
  networks_ = on_device(networks, stream);
  std::vector<double> lone(networks.size(), 0.0);
  if (parameters.subtract_lone_atom) lone = lone_atom_energies(stream);
  for (std::size_t s = 0; s < networks.size(); ++s) {
    networks[s].reference = parameters.reference_energies[s];
    networks[s].lone_atom = lone[s];
  }
  networks_ = on_device(networks, stream);
}

template <class T>
const T *Networks<T>::keep(const std::vector<double> &values, cudaStream_t stream) {
  return numbers_.emplace_back(on_device(std::vector<T>(values.begin(), values.end()), stream)).data();
}

template <class T>
LayerView<T> Networks<T>::layer(const DenseLayer &layer, cudaStream_t stream) {
  LayerView<T> view{layer.n_in,       layer.n_out, rounded_up(layer.n_out), rounded_up(layer.n_in),
                    layer.activation, nullptr,     nullptr,                 nullptr};
  view.forward = keep(padded(layer.weight, layer.n_out, layer.n_in, view.forward_stride, true), stream);
  view.backward = keep(padded(layer.weight, layer.n_out, layer.n_in, view.backward_stride, false), stream);
  std::vector<double> bias(layer.bias);
  bias.resize(std::size_t(view.forward_stride), 0.0);
  view.bias = keep(bias, stream);
  return view;
}

template <class T>
std::size_t Networks<T>::scratch_size() const {
  const std::size_t numbers = group_memory(memory_);
  return numbers * sizeof(T) <= shared_limit_ ? 0 : numbers * std::size_t(memory_.n_blocks);
}

template <class T>
void Networks<T>::apply(const DeviceGroups &groups, T *scratch, T *features, double *energies, ErrorWord *error,
                        cudaStream_t stream) const {
  const NetworkInput<T> input{n_elements_,         groups.first_center(), groups.first_group(), groups.n_groups(),
                              n_features_, networks_.data(),      layers_.data()};
  NetworkMemory<T> memory = memory_;
  memory.scratch = scratch;
  apply_networks(input, memory, shared_limit_, features, energies, error, stream);
}

/// The perceptrons at zero neighbours, by the very kernel that evaluates atoms: a lone atom has exactly its
/// reference energy.
template <class T>
std::vector<double> Networks<T>::lone_atom_energies(cudaStream_t stream) const {
  const std::size_t n = std::size_t(n_elements_);
  DeviceGroups groups;
  groups.set(std::vector<std::int64_t>(n, 1), stream);
  DeviceArray<T> scratch, features;
  DeviceArray<double> energies;
  DeviceArray<ErrorWord> ignored;
  fill_bytes(features.reserve(n * std::size_t(n_features_)), 0, n * std::size_t(n_features_), stream);
  fill_bytes(ignored.reserve(1), 0xff, 1, stream);
  apply(groups, scratch.reserve(scratch_size()), features.data(), energies.reserve(n), ignored.data(), stream);
  std::vector<double> found(n);
  download(found.data(), energies.data(), n, stream);
  require_success(cudaStreamSynchronize(stream), "the evaluation of lone atoms");
  return found;
}

template <class T>
std::size_t Networks<T>::bytes() const {
  std::size_t total = layers_.bytes() + networks_.bytes();
  for (const DeviceArray<T> &array : numbers_) total += array.bytes();
  return total;
}

template class Networks<float>;
template class Networks<double>;

}  // namespace panna_plus::cuda
