#include "cuda/device_weights.h"

#include "cuda/network_kernel.h"

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

template <class T>
const T *DeviceWeights<T>::keep(const std::vector<double> &values, cudaStream_t stream) {
  return numbers_.emplace_back(on_device(std::vector<T>(values.begin(), values.end()), stream)).data();
}

template <class T>
const T *DeviceWeights<T>::keep_inverse(const std::vector<double> &values, cudaStream_t stream) {
  std::vector<double> inverse;
  for (const double value : values) inverse.push_back(1.0 / value);
  return keep(inverse, stream);
}

template <class T>
LayerView<T> DeviceWeights<T>::keep(const DenseLayer &layer, cudaStream_t stream) {
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
std::size_t DeviceWeights<T>::bytes() const {
  std::size_t total = 0;
  for (const DeviceArray<T> &array : numbers_) total += array.bytes();
  return total;
}

template class DeviceWeights<float>;
template class DeviceWeights<double>;

}  // namespace panna_plus::cuda
