// Memory of the device and of the host, owned by objects; it grows and never shrinks.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "cuda/failure.h"

namespace panna_plus::cuda {

struct OnDevice {
  static void *allocate(std::size_t bytes) {
    void *pointer = nullptr;
    const cudaError_t error = cudaMalloc(&pointer, bytes);
    if (error == cudaSuccess) return pointer;
    (void)cudaGetLastError();
    std::size_t free = 0, total = 0;
    (void)cudaMemGetInfo(&free, &total);
    throw Failure("CUDA: no " + std::to_string(bytes >> 20) + " MiB of device memory to be had (" +
                  std::to_string(free >> 20) + " of " + std::to_string(total >> 20) + " MiB free; " +
                  cudaGetErrorString(error) + "): use more devices, or fewer ranks on each");
  }
  static void release(void *pointer) { (void)cudaFree(pointer); }
};

/// Page-locked: copies to and from the device run at full speed and beside kernels.
struct OnHost {
  static void *allocate(std::size_t bytes) {
    void *pointer = nullptr;
    require_success(cudaMallocHost(&pointer, bytes), "cudaMallocHost");
    return pointer;
  }
  static void release(void *pointer) { (void)cudaFreeHost(pointer); }
};

template <class T, class Where>
class Array {
 public:
  Array() = default;
  Array(Array &&other) noexcept
      : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  Array &operator=(Array &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Array() { Where::release(data_); }

  /// Memory for n values, with a reserve where it had to grow; what it held is lost then.
  T *reserve(std::size_t n) {
    if (n <= capacity_) return data_;
    Where::release(std::exchange(data_, nullptr));
    const std::size_t wanted = capacity_ ? n + n / 8 : n;
    capacity_ = 0;
    data_ = static_cast<T *>(Where::allocate(wanted * sizeof(T)));
    capacity_ = wanted;
    return data_;
  }

  T *data() const { return data_; }
  std::size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  T *data_ = nullptr;
  std::size_t capacity_ = 0;
};

template <class T>
using DeviceArray = Array<T, OnDevice>;
template <class T>
using HostArray = Array<T, OnHost>;

class Stream {
 public:
  Stream() { require_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"); }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  ~Stream() { (void)cudaStreamDestroy(stream_); }

  operator cudaStream_t() const { return stream_; }
  void synchronize() const { require_success(cudaStreamSynchronize(stream_), "the computation on the device"); }

 private:
  cudaStream_t stream_ = nullptr;
};

/// The device of the calling thread while the object lives.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    require_success(cudaGetDevice(&before_), "cudaGetDevice");
    require_success(cudaSetDevice(device), "cudaSetDevice");
  }
  CurrentDevice(const CurrentDevice &) = delete;
  CurrentDevice &operator=(const CurrentDevice &) = delete;
  ~CurrentDevice() { (void)cudaSetDevice(before_); }

 private:
  int before_ = 0;
};

template <class T>
void upload(T *to, const T *from, std::size_t n, cudaStream_t stream) {
  require_success(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyHostToDevice, stream), "a copy to the device");
}

template <class T>
void download(T *to, const T *from, std::size_t n, cudaStream_t stream) {
  require_success(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream), "a copy from the device");
}

template <class T>
void fill_bytes(T *pointer, int byte, std::size_t n, cudaStream_t stream) {
  require_success(cudaMemsetAsync(pointer, byte, n * sizeof(T), stream), "cudaMemset");
}

/// A copy of `values` on the device, complete when the call returns.
template <class T>
DeviceArray<T> on_device(const std::vector<T> &values, cudaStream_t stream) {
  DeviceArray<T> array;
  upload(array.reserve(values.size()), values.data(), values.size(), stream);
  require_success(cudaStreamSynchronize(stream), "a copy to the device");
  return array;
}

}  // namespace panna_plus::cuda
