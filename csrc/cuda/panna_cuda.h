// The panna family on a CUDA device.
#pragma once

#include <memory>
#include <string>

#include "potential/potential.h"

namespace panna_plus {

/// `kernels` chooses how forces are summed up: "gather" (or empty), in the same order in every run, or "atomics".
/// A Failure where the device cannot be used.
std::unique_ptr<Potential> build_panna_cuda(const ModelFile &file, Precision precision, const std::string &kernels,
                                            int device);

}  // namespace panna_plus
