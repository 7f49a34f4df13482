// Which compiled kernels exist and which of them this processor runs.
#pragma once

#include <string>
#include <vector>

#include "cpu/panna_kernels.h"

namespace panna_plus {

/// All that were compiled, fastest first; the last one runs everywhere.
const std::vector<InstructionSet> &instruction_sets();

/// The one called `name`, or the fastest that this processor supports if `name` is empty. A Failure lists
/// what there is.
const InstructionSet &instruction_set(const std::string &name);

}  // namespace panna_plus
