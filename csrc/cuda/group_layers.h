// Matrix products with the features of a group of centres, shared by the kernels that take them.
#pragma once

#include "cuda/network_kernel.h"
#include "cuda/warp.h"

namespace panna_plus::cuda {

constexpr int tile = network_tile;
constexpr int center_tiles = network_centers / tile;
constexpr int group_threads = 128;
constexpr int output_tiles = group_threads / center_tiles;  // worked on at once

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

/// Centres of one group.
struct Group {
  int element;
  std::int64_t first;
  int n;
};

__device__ __forceinline__ Group group_at(const CenterGroups &groups, std::int64_t index) {
  int element = 0;
  while (index >= groups.first_group[element + 1]) ++element;
  const std::int64_t first = groups.first_center[element] + (index - groups.first_group[element]) * network_centers;
  const std::int64_t left = groups.first_center[element + 1] - first;
  return {element, first, left < network_centers ? int(left) : network_centers};
}

template <class T>
__device__ __forceinline__ void load_features(const NetworkInput<T> &input, const NetworkView<T> &network,
                                              const Group &group, T *x) {
  const int n = input.n_features;
  for (int m = warp_in_block(); m < network_centers; m += group_threads / warp_size) {
    const T *row = input.features + (group.first + m) * n;
    for (int f = lane_index(); f < n; f += warp_size) {
      x[f * row_length + m] = m < group.n ? (row[f] - network.mean[f]) * network.inverse_scale[f] : T(0);
    }
  }
}

/// The numbers of this block: in shared memory, or where that does not suffice its part of the scratch memory.
template <class T>
__device__ __forceinline__ GroupMemory<T> memory_of_block(const NetworkMemory<T> &memory, std::size_t numbers) {
  T *start = memory.scratch ? memory.scratch + std::size_t(blockIdx.x) * numbers
                            : reinterpret_cast<T *>(shared_memory());
  return group_arrays(memory, start);
}

/// Launches kernel(input, memory, numbers of a group, rest...), a block for every group or as many as fill the device.
template <class T, class Kernel, class... A>
void launch_groups(Kernel kernel, const NetworkInput<T> &input, const NetworkMemory<T> &memory,
                   std::size_t shared_limit, cudaStream_t stream, const A &...rest) {
  NetworkMemory<T> used = memory;
  const std::size_t numbers = group_memory(memory), bytes = numbers * sizeof(T);
  const bool is_shared = bytes <= shared_limit;
  if (is_shared) used.scratch = nullptr;
  const std::int64_t n_groups = input.groups.n_groups, most = is_shared ? n_groups : memory.n_blocks;
  const LaunchShape shape{n_groups < most ? n_groups : most, group_threads, is_shared ? bytes : 0};
  launch(shape, stream, kernel, input, used, numbers, rest...);
}

}  // namespace panna_plus::cuda
