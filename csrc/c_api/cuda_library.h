// Opens the CUDA part of the engine, a library of its own: the engine itself runs on machines without CUDA.
#pragma once

#include <memory>
#include <string>

#include "potential/device_descriptor.h"
#include "potential/panna_parameters.h"
#include "potential/potential.h"

namespace panna_plus {

/// Where the library lies in an installation: beside the one that holds this function.
std::string cuda_library_path();

/// CUDA devices that can be used, at least 1. A Failure says why there are none: no such library, or what it found.
int cuda_device_count(const std::string &library);

/// What a device is called, with an id of its own. A Failure where there is no such device.
std::string cuda_device_name(int device, const std::string &library);

/// The potential of `file` on a CUDA device, by the library at that path.
std::unique_ptr<Potential> build_on_cuda(const ModelFile &file, const Opening &opening,
                                         int device, const std::string &library);

/// The symmetry functions alone on a CUDA device; the networks of `parameters` are not used.
std::unique_ptr<DeviceDescriptor> build_descriptor_on_cuda(const PannaParameters &parameters, Precision precision,
                                                           int device, const std::string &library);

}  // namespace panna_plus
