#include "cuda/device.h"

#include <cstdio>
#include <string>

#include "cuda/failure.h"

namespace panna_plus::cuda {
namespace {

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  require_success(cudaGetDevice(&device), "cudaGetDevice");
  require_success(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

int device_count() {
  int n = 0;
  const cudaError_t error = cudaGetDeviceCount(&n);
  if (error != cudaSuccess || n == 0) {
    (void)cudaGetLastError();
    throw Failure(std::string("no CUDA device can be used: ") + cudaGetErrorString(error) +
                  "; check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES, or choose the device cpu");
  }
  return n;
}

void require_device(int device) {
  const int n = device_count();
  require(device >= 0 && device < n, "CUDA device " + std::to_string(device) + " does not exist: expected 0 to " +
                                         std::to_string(n - 1) + " (see nvidia-smi and CUDA_VISIBLE_DEVICES)");
}

std::string device_name(int device) {
  require_device(device);
  cudaDeviceProp properties;
  require_success(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  std::string id;
  for (const char byte : properties.uuid.bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    id += digits;
  }
  // As nvidia-smi -L shows it.
  for (const std::size_t place : {8, 13, 18, 23}) id.insert(place, "-");
  return std::string(properties.name) + " (GPU-" + id + ")";
}

std::size_t shared_memory_limit() { return std::size_t(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)); }

int blocks_that_fill() { return 4 * attribute(cudaDevAttrMultiProcessorCount); }

}  // namespace panna_plus::cuda
