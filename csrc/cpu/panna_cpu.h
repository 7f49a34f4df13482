// The panna family with SIMD kernels, for MD.
#pragma once

#include <memory>
#include <string>

#include "potential/potential.h"

namespace panna_plus {

/// `kernels` names an instruction set (see instruction_sets.h); empty: the fastest that this processor runs.
std::unique_ptr<Potential> build_panna_cpu(const ModelFile &file, Precision precision, const std::string &kernels);

}  // namespace panna_plus
