// What libpanna_plus_cuda.so shows to the engine that opens it. Both are built from one source tree; the fingerprint
// tells where they were not.
#pragma once

#include <cstdint>

#include "potential/device_descriptor.h"
#include "potential/panna_parameters.h"
#include "potential/registry.h"

namespace panna_plus::cuda {

/// Differs where the classes that cross the border between the libraries differ.
constexpr std::uint64_t fingerprint() {
  std::uint64_t sum = 1;
  for (const std::size_t size : {sizeof(Potential), sizeof(Description), sizeof(Opening), sizeof(ModelFile), sizeof(Neighborhood),
                                 sizeof(Results), sizeof(PannaParameters), sizeof(DevicePairs),
                                 sizeof(std::string)}) {
    sum = 1009 * sum + size;
  }
  return sum;
}

// Names and types of the functions; all but the first throw Failure.
constexpr const char *fingerprint_name = "panna_plus_cuda_fingerprint";
using FingerprintFunction = std::uint64_t();
constexpr const char *device_count_name = "panna_plus_cuda_device_count";
using DeviceCountFunction = int();
constexpr const char *name_name = "panna_plus_cuda_name";
using NameFunction = void(int device, std::string &name);
constexpr const char *build_name = "panna_plus_cuda_build";
using BuildFunction = Potential *(const ModelFile &, const Opening &, int device);
constexpr const char *descriptor_name = "panna_plus_cuda_panna_descriptor";
using DescriptorFunction = DeviceDescriptor *(const PannaParameters &, Precision, int device);

}  // namespace panna_plus::cuda
