#include "cuda/network_kernel.h"

#include "cuda/warp.h"

namespace panna_plus::cuda {
namespace {

constexpr int tile = network_tile;
// Rows of 32 centres are padded so that columns do not all lie in one bank, in units that vector loads can take.
constexpr int row_length = network_centers + 4;
constexpr int center_tiles = network_centers / tile;
constexpr int block_threads = 128;
constexpr int output_tiles = block_threads / center_tiles;  // worked on at once

/// Activations of a group: x and y (widest, row_length) in turn, and the slopes of all layers.
template <class T>
struct GroupMemory {
  T *x, *y, *slopes;
};

template <class T>
__device__ __forceinline__ GroupMemory<T> group_arrays(const NetworkMemory<T> &memory, T *start) {
  const std::size_t rows = std::size_t(memory.widest) * row_length;
  return {start, start + rows, start + 2 * rows};
}

/// A thread's tile of outputs for a tile of centres.
template <class T>
struct Sums {
  T value[tile][tile];  // [output][centre]
};

/// sums[o][m] = start[o] + sum_i weight[i, o] x[i, m]; start may be null.
template <class T>
__device__ __forceinline__ Sums<T> multiplied(const T *weight, int stride, const T *start, const T *x, int n_in) {
  Sums<T> sums;
  PANNA_UNROLL
  for (int o = 0; o < tile; ++o) {
    PANNA_UNROLL
    for (int m = 0; m < tile; ++m) sums.value[o][m] = start ? start[o] : T(0);
  }
#pragma unroll 4
  for (int i = 0; i < n_in; ++i) {
    const Four<T> w = *reinterpret_cast<const Four<T> *>(weight + std::int64_t(i) * stride);
    const Four<T> v = *reinterpret_cast<const Four<T> *>(x + i * row_length);
    const T weights[tile] = {w.x, w.y, w.z, w.w}, values[tile] = {v.x, v.y, v.z, v.w};
    PANNA_UNROLL
    for (int o = 0; o < tile; ++o) {
      PANNA_UNROLL
      for (int m = 0; m < tile; ++m) sums.value[o][m] += weights[o] * values[m];
    }
  }
  return sums;
}

/// Calls visit(first output, first centre) for all tiles of n outputs that are this thread's.
template <class Visit>
__device__ __forceinline__ void for_each_tile(int n, Visit visit) {
  const int m = int(threadIdx.x) % center_tiles * tile;
  for (int o = int(threadIdx.x) / center_tiles * tile; o < n; o += output_tiles * tile) visit(o, m);
}

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

/// Centres of one group.
struct Group {
  int element;
  std::int64_t first;
  int n;
};

template <class T>
__device__ __forceinline__ Group group_at(const NetworkInput<T> &input, std::int64_t index) {
  int element = 0;
  while (index >= input.first_group[element + 1]) ++element;
  const std::int64_t first = input.first_center[element] + (index - input.first_group[element]) * network_centers;
  const std::int64_t left = input.first_center[element + 1] - first;
  return {element, first, left < network_centers ? int(left) : network_centers};
}

template <class T>
__device__ __forceinline__ void load_features(const NetworkInput<T> &input, const NetworkView<T> &network,
                                              const Group &group, const T *features, T *x) {
  const int n = input.n_features;
  for (int m = warp_in_block(); m < network_centers; m += block_threads / warp_size) {
    const T *row = features + (group.first + m) * n;
    for (int f = lane_index(); f < n; f += warp_size) {
      x[f * row_length + m] = m < group.n ? (row[f] - network.mean[f]) * network.inverse_scale[f] : T(0);
    }
  }
}

template <class T>
__device__ __forceinline__ void store_gradients(const NetworkInput<T> &input, const NetworkView<T> &network,
                                                const Group &group, const T *dx, T *features) {
  const int n = input.n_features;
  for (int m = warp_in_block(); m < group.n; m += block_threads / warp_size) {
    T *row = features + (group.first + m) * n;
    for (int f = lane_index(); f < n; f += warp_size) row[f] = dx[f * row_length + m] * network.inverse_scale[f];
  }
}

template <class T>
__device__ __forceinline__ void store_energies(const NetworkView<T> &network, const Group &group, const T *y,
                                               double *energies, ErrorWord *error) {
  const int m = int(threadIdx.x);
  if (m >= group.n) return;
  const double energy = network.reference + (double(y[m]) - network.lone_atom);
  energies[group.first + m] = energy;
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
                                              const Group &group, GroupMemory<T> memory, double *energies,
                                              ErrorWord *error) {
  const LayerView<T> *layers = input.layers + network.first_layer;
  T *slopes = memory.slopes;
  for (int l = 0; l < network.n_layers; ++l) {
    __syncthreads();
    apply_layer(layers[l], memory.x, memory.y, slopes);
    slopes += layers[l].n_out * row_length;
    swap(memory.x, memory.y);
  }
  __syncthreads();
  store_energies(network, group, memory.x, energies, error);
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
__global__ void __launch_bounds__(block_threads, sizeof(T) == 4 ? 5 : 4)
    network_kernel(NetworkInput<T> input, NetworkMemory<T> memory, std::size_t scratch_size, T *features,
                   double *energies, ErrorWord *error) {
  T *start = memory.scratch ? memory.scratch + std::size_t(blockIdx.x) * scratch_size
                            : reinterpret_cast<T *>(shared_memory());
  const GroupMemory<T> arrays = group_arrays(memory, start);
  for (std::int64_t g = blockIdx.x; g < input.n_groups; g += gridDim.x) {
    const Group group = group_at(input, g);
    const NetworkView<T> network = input.networks[group.element];
    load_features(input, network, group, features, arrays.x);
    apply_network(input, network, group, arrays, energies, error);
    __syncthreads();
    // After an odd number of exchanges dE/dx lies in y.
    store_gradients(input, network, group, arrays.y, features);
    __syncthreads();
  }
}

}  // namespace

template <class T>
std::size_t group_memory(const NetworkMemory<T> &memory) {
  return (2 * std::size_t(memory.widest) + std::size_t(memory.n_slopes)) * row_length;
}

template <class T>
void apply_networks(const NetworkInput<T> &input, const NetworkMemory<T> &memory, std::size_t shared_limit, T *features,
                    double *energies, ErrorWord *error, cudaStream_t stream) {
  NetworkMemory<T> used = memory;
  const std::size_t numbers = group_memory(memory), bytes = numbers * sizeof(T);
  const bool is_shared = bytes <= shared_limit;
  if (is_shared) used.scratch = nullptr;
  const std::int64_t most = is_shared ? input.n_groups : memory.n_blocks;
  const LaunchShape shape{input.n_groups < most ? input.n_groups : most, block_threads, is_shared ? bytes : 0};
  launch(shape, stream, network_kernel<T>, input, used, numbers, features, energies, error);
}

#define PANNA_INSTANTIATE(T)                                                                                       \
  template std::size_t group_memory(const NetworkMemory<T> &);                                                     \
  template void apply_networks(const NetworkInput<T> &, const NetworkMemory<T> &, std::size_t, T *, double *,      \
                               ErrorWord *, cudaStream_t);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

}  // namespace panna_plus::cuda
