#include "cuda/group_layers.h"

namespace panna_plus::cuda {
namespace {

template <class T>
__device__ __forceinline__ void apply_layer(const LayerView<T> &layer, const T *x, T *y, T *slopes) {
  for_each_tile(layer.n_out, [&](int o, int m) {
    const Sums<T> sums = multiplied(layer.forward + o, layer.forward_stride, layer.bias + o, x + m, layer.n_in);
    PANNA_UNROLL
    for (int k = 0; k < tile; ++k) {
      if (o + k >= layer.n_out) break;
      PANNA_UNROLL
      for (int c = 0; c < tile; ++c) {
        const math::ValueSlope<T> result = math::activate(layer.activation, sums.value[k][c]);
        y[(o + k) * row_length + m + c] = result.value;
        slopes[(o + k) * row_length + m + c] = result.slope;
      }
    }
  });
}

/// dE/dx from dE/dy, which already holds the slopes; multiplied by those of the layer before (null: none).
template <class T>
__device__ __forceinline__ void apply_transposed(const LayerView<T> &layer, const T *dy, const T *slopes, T *dx) {
  for_each_tile(layer.n_in, [&](int i, int m) {
    const T *none = nullptr;
    const Sums<T> sums = multiplied(layer.backward + i, layer.backward_stride, none, dy + m, layer.n_out);
    PANNA_UNROLL
    for (int k = 0; k < tile; ++k) {
      if (i + k >= layer.n_in) break;
      PANNA_UNROLL
      for (int c = 0; c < tile; ++c) {
        const int place = (i + k) * row_length + m + c;
        dx[place] = slopes ? sums.value[k][c] * slopes[place] : sums.value[k][c];
      }
    }
  });
}

template <class V>
__device__ __forceinline__ void put(V &to, V value, bool adds) {
  to = adds ? to + value : value;
}

template <class T>
__device__ __forceinline__ void store_gradients(int n_features, const NetworkView<T> &network, const Group &group,
                                                const T *dx, const NetworkOutput<T> &output) {
  const T share = T(output.share);
  for (int m = warp_in_block(); m < group.n; m += group_threads / warp_size) {
    T *row = output.gradients + (group.first + m) * n_features;
    for (int f = lane_index(); f < n_features; f += warp_size) {
      put(row[f], share * (dx[f * row_length + m] * network.inverse_scale[f]), output.adds);
    }
  }
}

template <class T>
__device__ __forceinline__ void store_energies(const NetworkView<T> &network, const Group &group, const T *y,
                                               const NetworkOutput<T> &output, ErrorWord *error) {
  const int m = int(threadIdx.x);
  if (m >= group.n) return;
  const double energy = network.reference + (double(y[m]) - network.lone_atom);
  put(output.energies[group.first + m], output.share * energy, output.adds);
  if (!(energy - energy == 0.0)) atomicMin(error, ErrorWord(group.first + m) << 8 | ErrorWord(bad_energy));
}

template <class T>
__device__ __forceinline__ void swap(T *&a, T *&b) {
  T *const swapped = a;
  a = b;
  b = swapped;
}

/// x holds the scaled features and receives dE/dx. The number of exchanges is even.
template <class T>
__device__ __forceinline__ void apply_network(const NetworkInput<T> &input, const NetworkView<T> &network,
                                              const Group &group, GroupMemory<T> memory,
                                              const NetworkOutput<T> &output, ErrorWord *error) {
  const LayerView<T> *layers = input.layers + network.first_layer;
  T *slopes = memory.slopes;
  for (int l = 0; l < network.n_layers; ++l) {
    __syncthreads();
    apply_layer(layers[l], memory.x, memory.y, slopes);
    slopes += layers[l].n_out * row_length;
    swap(memory.x, memory.y);
  }
  __syncthreads();
  store_energies(network, group, memory.x, output, error);
  // dE/dy of the last layer is the slope of its single output.
  slopes -= row_length;
  if (int(threadIdx.x) < network_centers) memory.y[threadIdx.x] = slopes[threadIdx.x];
  swap(memory.x, memory.y);
  for (int l = network.n_layers - 1; l >= 0; --l) {
    __syncthreads();
    if (l > 0) slopes -= layers[l - 1].n_out * row_length;
    apply_transposed(layers[l], memory.x, l > 0 ? slopes : nullptr, memory.y);
    swap(memory.x, memory.y);
  }
}

template <class T>
__global__ void __launch_bounds__(group_threads, sizeof(T) == 4 ? 5 : 4)
    network_kernel(NetworkInput<T> input, NetworkMemory<T> memory, std::size_t numbers, NetworkOutput<T> output,
                   ErrorWord *error) {
  const GroupMemory<T> arrays = memory_of_block(memory, numbers);
  for (std::int64_t g = blockIdx.x; g < input.groups.n_groups; g += gridDim.x) {
    const Group group = group_at(input.groups, g);
    const NetworkView<T> network = input.networks[group.element];
    load_features(input, network, group, arrays.x);
    apply_network(input, network, group, arrays, output, error);
    __syncthreads();
    // After an odd number of exchanges dE/dx lies in y.
    store_gradients(input.n_features, network, group, arrays.y, output);
    __syncthreads();
  }
}

}  // namespace

template <class T>
void apply_networks(const NetworkInput<T> &input, const NetworkMemory<T> &memory, std::size_t shared_limit,
                    const NetworkOutput<T> &output, ErrorWord *error, cudaStream_t stream) {
  launch_groups(network_kernel<T>, input, memory, shared_limit, stream, output, error);
}

#define PANNA_INSTANTIATE(T)                                                                          \
  template void apply_networks(const NetworkInput<T> &, const NetworkMemory<T> &, std::size_t,        \
                               const NetworkOutput<T> &, ErrorWord *, cudaStream_t);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

}  // namespace panna_plus::cuda
