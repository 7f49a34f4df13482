#pragma once

#include <memory>

#include "potential/potential.h"

namespace panna_plus {

/// SIMD evaluation of a so3krates model. A Failure if the processor does not run the kernels asked for.
std::unique_ptr<Potential> build_so3krates_cpu(const ModelFile &file, const Opening &opening);

}  // namespace panna_plus
