// Functions of the 32 lanes of a warp together. All of them must call; none may be missing.
#pragma once

#include "cuda/launch.h"
#include "math/platform.h"

namespace panna_plus::cuda {

__device__ __forceinline__ int lane_index() { return int(threadIdx.x) % warp_size; }
__device__ __forceinline__ int warp_in_block() { return int(threadIdx.x) / warp_size; }

/// The number of the warp in the grid.
__device__ __forceinline__ std::int64_t warp_index() {
  return std::int64_t(blockIdx.x) * (int(blockDim.x) / warp_size) + warp_in_block();
}
__device__ __forceinline__ std::int64_t thread_index() {
  return std::int64_t(blockIdx.x) * int(blockDim.x) + int(threadIdx.x);
}

/// The warp's part of the shared memory: `n` values of V for every warp.
template <class V>
__device__ __forceinline__ V *warp_memory(std::size_t n) {
  return reinterpret_cast<V *>(shared_memory()) + std::size_t(warp_in_block()) * n;
}

/// The sum over the lanes, the same in all of them.
template <class V>
__device__ __forceinline__ V warp_sum(V value) {
PANNA_UNROLL
  for (int other = warp_size / 2; other > 0; other /= 2) value += __shfl_xor_sync(whole_warp, value, other);
  return value;
}

/// Adds N values (a power of two) over the lanes. Lane l is left with sum number first_summed<N>(l) in values[0] and,
/// where N > 32, with the following ones behind it; where N < 32 several lanes hold the same one. In every step lanes
/// swap half of what they still hold: N + log N shuffles in place of 5 N.
template <int N, class V>
__device__ __forceinline__ void transposed_sums(V (&values)[N]) {
  int n = N;
  const int lane = lane_index();
PANNA_UNROLL
  for (int other = warp_size / 2; other > 0; other /= 2) {
    if (n == 1) {
      values[0] += __shfl_xor_sync(whole_warp, values[0], other);
      continue;
    }
    n /= 2;
    const bool is_upper = lane & other;
PANNA_UNROLL
    for (int k = 0; k < N / 2; ++k) {
      if (k >= n) break;
      const V given = is_upper ? values[k] : values[k + n], kept = is_upper ? values[k + n] : values[k];
      values[k] = kept + __shfl_xor_sync(whole_warp, given, other);
    }
  }
}

/// Sums that every lane is left with.
template <int N>
PANNA_HD constexpr int n_summed() {
  return N > warp_size ? N / warp_size : 1;
}

template <int N>
PANNA_HD int first_summed(int lane) {
  return N >= warp_size ? lane * (N / warp_size) : lane / (warp_size / N);
}

/// One lane for every sum.
template <int N>
PANNA_HD bool writes_summed(int lane) {
  return N >= warp_size || lane % (warp_size / N) == 0;
}

}  // namespace panna_plus::cuda
