// What the device can do at most: bytes copied, multiply-adds, exponentials and inverse roots per second, measured.
// Arguments: megabytes to copy, rounds of 128 operations per thread. Prints one JSON object.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>

#include "cuda/device.h"
#include "cuda/device_memory.h"
#include "cuda/launch.h"
#include "cuda/views.h"
#include "math/elementary.h"

using namespace panna_plus;
using namespace panna_plus::cuda;

namespace {

constexpr int n_chains = 8;    // independent ones hide the latency of an operation
constexpr int n_unrolled = 16;  // operations of a chain per turn of the loop, whose own cost then does not count
constexpr int block_threads = 256;

struct MultiplyAdd {
  template <class T>
  static PANNA_HD T apply(T x) {
    return x * T(0.999) + T(0.001);
  }
};
struct Exponential {
  template <class T>
  static PANNA_HD T apply(T x) {
    return math::exp2_nonpositive(-x);
  }
};
struct InverseRoot {
  template <class T>
  static PANNA_HD T apply(T x) {
    return math::inverse_sqrt(x);
  }
};

__global__ void copy_kernel(const Four<float> *from, Four<float> *to, std::int64_t n) {
  const std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (k < n) to[k] = from[k];
}

template <class T, class Operation>
__global__ void chain_kernel(T *out, int n_rounds) {
  const std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  T chains[n_chains];
  PANNA_UNROLL
  for (int c = 0; c < n_chains; ++c) chains[c] = T(0.5) + T(0.001) * T(threadIdx.x + unsigned(c));
  for (int round = 0; round < n_rounds; ++round) {
    PANNA_UNROLL
    for (int turn = 0; turn < n_unrolled; ++turn) {
      PANNA_UNROLL
      for (int c = 0; c < n_chains; ++c) chains[c] = Operation::apply(chains[c]);
    }
  }
  T sum = T(0);
  PANNA_UNROLL
  for (int c = 0; c < n_chains; ++c) sum += chains[c];
  out[k] = sum;
}

/// Seconds of the quickest of some calls, after one that does not count.
double quickest(const Stream &stream, const std::function<void()> &call) {
  double least = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 6; ++repeat) {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    call();
    stream.synchronize();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (repeat > 0) least = std::min(least, passed.count());
  }
  return least;
}

double bytes_per_second(std::int64_t n_bytes, const Stream &stream) {
  const std::int64_t n = n_bytes / std::int64_t(sizeof(Four<float>));
  DeviceArray<Four<float>> from, to;
  fill_bytes(from.reserve(std::size_t(n)), 0, std::size_t(n), stream);
  to.reserve(std::size_t(n));
  const LaunchShape shape{(n + block_threads - 1) / block_threads, block_threads, 0};
  const double seconds =
      quickest(stream, [&] { launch(shape, stream, copy_kernel, from.data(), to.data(), n); });
  return 2.0 * double(n) * sizeof(Four<float>) / seconds;
}

template <class T, class Operation>
double operations_per_second(int n_rounds, const Stream &stream) {
  // As many threads as 16 full multiprocessors for each, so that the last wave does not count.
  const std::int64_t n_blocks = 32 * std::int64_t(blocks_that_fill());
  DeviceArray<T> out;
  out.reserve(std::size_t(n_blocks) * block_threads);
  const LaunchShape shape{n_blocks, block_threads, 0};
  const double seconds =
      quickest(stream, [&] { launch(shape, stream, chain_kernel<T, Operation>, out.data(), n_rounds); });
  return double(n_blocks) * block_threads * n_chains * n_unrolled * n_rounds / seconds;
}

}  // namespace

int main(int n, char **arguments) {
  if (n != 3) {
    std::fprintf(stderr, "usage: ceilings MEGABYTES ROUNDS\n");
    return 2;
  }
  try {
    const Stream stream;
    const int rounds = std::atoi(arguments[2]);
    std::printf("{\"copy_bytes_per_s\": %.6g, ", bytes_per_second(std::int64_t(std::atoi(arguments[1])) << 20, stream));
    std::printf("\"float_fma_per_s\": %.6g, ", operations_per_second<float, MultiplyAdd>(rounds, stream));
    std::printf("\"double_fma_per_s\": %.6g, ", operations_per_second<double, MultiplyAdd>(rounds, stream));
    std::printf("\"float_exp2_per_s\": %.6g, ", operations_per_second<float, Exponential>(rounds, stream));
    std::printf("\"float_rsqrt_per_s\": %.6g}\n", operations_per_second<float, InverseRoot>(rounds, stream));
    return 0;
  } catch (const Failure &failure) {
    std::fprintf(stderr, "ceilings: %s\n", failure.what());
    return 1;
  }
}
