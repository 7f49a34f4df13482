// Stands in for the header of the same name where the sources of csrc/cuda are compiled as plain C++: every CUDA
// thread is a fiber, the fibers of a block take turns, blocks run one after another. Only what the sources use.
//
// Device memory is host memory of exactly the size asked for, filled with 0xff: the address sanitizer sees what is read
// or written outside, and floating-point numbers that were never written are NaN. Under the thread sanitizer fibers
// count as threads, and only __syncwarp and __syncthreads order their memory accesses: a missing one is reported as a
// race. Shuffles and matches wait for each other's lanes but, as on a GPU, are no memory barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace panna_plus::emulation {

/// Where a CUDA thread is.
struct Place {
  dim3 thread, block, block_size, grid_size;
  unsigned char *shared;
};

const Place &place();

/// Counts what is queued on a stream; see panna_plus_cuda_emulated_calls in emulation.cpp.
void count_on(const void *stream);

/// Runs body(argument) once per thread of every block.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(void *), void *argument);

/// One per source line that calls a collective function.
struct Site {
  const char *file;
  int line;
};

constexpr int largest_item = 16;

/// Returns when all lanes of `mask` have come to the same site; `all` (32 items) receives what each lane brought.
void meet(unsigned mask, Site site, const void *mine, std::size_t size, void *all);
void meet_block(Site site);
int lane();

template <class V>
V exchanged(unsigned mask, V value, int from, Site site) {
  static_assert(sizeof(V) <= largest_item, "a shuffle moves at most 16 bytes");
  V all[32];
  meet(mask, site, &value, sizeof(V), all);
  return all[from & 31];
}

}  // namespace panna_plus::emulation

#define threadIdx (panna_plus::emulation::place().thread)
#define blockIdx (panna_plus::emulation::place().block)
#define blockDim (panna_plus::emulation::place().block_size)
#define gridDim (panna_plus::emulation::place().grid_size)

// The last parameters of collective functions: where they are called.
#define PANNA_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncwarp(unsigned mask = 0xffffffffu, PANNA_CALLER) {
  panna_plus::emulation::meet(mask, {file, line}, nullptr, 0, nullptr);
}
inline void __syncthreads(PANNA_CALLER) { panna_plus::emulation::meet_block({file, line}); }

template <class V>
V __shfl_sync(unsigned mask, V value, int from, int = 32, PANNA_CALLER) {
  return panna_plus::emulation::exchanged(mask, value, from, {file, line});
}
template <class V>
V __shfl_xor_sync(unsigned mask, V value, int other, int = 32, PANNA_CALLER) {
  return panna_plus::emulation::exchanged(mask, value, panna_plus::emulation::lane() ^ other, {file, line});
}
inline unsigned __match_any_sync(unsigned mask, int value, PANNA_CALLER) {
  int all[32];
  panna_plus::emulation::meet(mask, {file, line}, &value, sizeof value, all);
  unsigned same = 0;
  for (int lane = 0; lane < 32; ++lane) same |= unsigned((mask >> lane & 1u) && all[lane] == value) << lane;
  return same;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(int(bits)); }

/// The built-in atomics, so that the thread sanitizer knows them as such.
template <class V, class Change>
V panna_emulated_atomic(V *address, Change change) {
  V before, after;
  __atomic_load(address, &before, __ATOMIC_RELAXED);
  do after = change(before);
  while (!__atomic_compare_exchange(address, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}
inline double atomicAdd(double *address, double value) {
  return panna_emulated_atomic(address, [=](double before) { return before + value; });
}
inline unsigned atomicAdd(unsigned *address, unsigned value) {
  return panna_emulated_atomic(address, [=](unsigned before) { return before + value; });
}
inline unsigned long long atomicMin(unsigned long long *address, unsigned long long value) {
  return panna_emulated_atomic(address, [=](unsigned long long before) { return before < value ? before : value; });
}

using cudaStream_t = struct PannaEmulatedStream *;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
constexpr unsigned cudaStreamNonBlocking = 1;
struct cudaDeviceProp {
  char name[256];
  struct {
    char bytes[16];
  } uuid;
};

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaMemGetInfo(std::size_t *free, std::size_t *total);
cudaError_t cudaMalloc(void **pointer, std::size_t size);
cudaError_t cudaFree(void *pointer);
cudaError_t cudaMallocHost(void **pointer, std::size_t size);
cudaError_t cudaFreeHost(void *pointer);
cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t size, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *pointer, int value, std::size_t size, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *, cudaFuncAttribute, int) {
  return cudaSuccess;
}
