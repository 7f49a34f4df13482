// For which instruction sets kernels are compiled, and which of them this processor runs; see compiled_kernels.h.
#pragma once

#include <string>
#include <vector>

namespace panna_plus {

struct InstructionSet {
  const char *name;
  bool (*is_supported)();
};

/// All that were compiled, fastest first; the last one runs everywhere.
const std::vector<InstructionSet> &instruction_sets();

/// The one called `name`, or the fastest that this processor supports if `name` is empty. A Failure lists
/// what there is.
const InstructionSet &instruction_set(const std::string &name);

}  // namespace panna_plus
