// How kernels start and where their shared memory is: the only file that knows whether there is a GPU or its emulation.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#include "cuda/failure.h"

namespace panna_plus::cuda {

constexpr int warp_size = 32;
constexpr int warps_per_block = 4;
constexpr unsigned whole_warp = 0xffffffffu;
// The second number of __launch_bounds__, blocks that a multiprocessor is to hold at once, is given where the compiler,
// asked for nothing, would spill registers to fit one more.

struct LaunchShape {
  std::int64_t n_blocks;
  int n_threads;
  std::size_t shared_bytes;  // of a block
};

/// A warp for each of n items.
inline LaunchShape warp_for_each(std::int64_t n, std::size_t shared_bytes_of_warp = 0) {
  return {(n + warps_per_block - 1) / warps_per_block, warps_per_block * warp_size,
          shared_bytes_of_warp * warps_per_block};
}

/// A thread for each of n items.
inline LaunchShape thread_for_each(std::int64_t n) { return {(n + 127) / 128, 128, 0}; }

#if defined(__CUDACC__)
/// The dynamic shared memory of the block.
__device__ __forceinline__ unsigned char *shared_memory() {
  extern __shared__ __align__(16) unsigned char panna_shared[];
  return panna_shared;
}

template <class... P>
void start(const LaunchShape &shape, cudaStream_t stream, void (*kernel)(P...), P... arguments) {
  if (shape.shared_bytes > 48 * 1024) {
    require_success(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shape.shared_bytes)),
        "cudaFuncSetAttribute");
  }
  kernel<<<unsigned(shape.n_blocks), unsigned(shape.n_threads), shape.shared_bytes, stream>>>(arguments...);
  require_success(cudaGetLastError(), "a kernel launch");
}
#else
inline unsigned char *shared_memory() { return emulation::place().shared; }

template <class... P>
void start(const LaunchShape &shape, cudaStream_t stream, void (*kernel)(P...), P... arguments) {
  emulation::count_on(stream);
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
  } call{kernel, {arguments...}};
  const auto body = [](void *pointer) {
    const Call &here = *static_cast<const Call *>(pointer);
    std::apply(here.kernel, here.arguments);
  };
  emulation::run_grid(dim3(unsigned(shape.n_blocks)), dim3(unsigned(shape.n_threads)), shape.shared_bytes, body, &call);
}
#endif

/// Runs a kernel; arguments are converted to the kernel's. No blocks: nothing to do.
template <class... P, class... A>
void launch(const LaunchShape &shape, cudaStream_t stream, void (*kernel)(P...), const A &...arguments) {
  if (shape.n_blocks == 0) return;
  require(shape.n_blocks <= 0x7fffffff, "CUDA: " + std::to_string(shape.n_blocks) +
                                            " blocks are more than one launch takes: use more ranks or devices");
  start<P...>(shape, stream, kernel, P(arguments)...);
}

}  // namespace panna_plus::cuda
