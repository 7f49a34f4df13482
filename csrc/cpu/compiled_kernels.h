// How a source that is compiled once finds kernels that were compiled for every instruction set: with
//   PANNA_DECLARE_COMPILED(Kernels, name)
// in the namespace panna_plus, the objects single_<name> and double_<name> of each set become a table,
// PANNA_COMPILED(Kernels, name), out of which compiled_for takes what this processor runs.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "cpu/instruction_sets.h"

#define PANNA_DECLARE_COMPILED_FOR(isa, Kernels, name) \
  namespace isa {                                      \
  extern const Kernels<float> single_##name;           \
  extern const Kernels<double> double_##name;          \
  }

#define PANNA_COMPILED_FOR(set, isa, name) {set, &isa::single_##name, &isa::double_##name}

#if defined(__x86_64__) && !defined(PANNA_PORTABLE_ONLY)
#define PANNA_DECLARE_COMPILED(Kernels, name)          \
  PANNA_DECLARE_COMPILED_FOR(x86_64_v4, Kernels, name) \
  PANNA_DECLARE_COMPILED_FOR(x86_64_v3, Kernels, name) \
  PANNA_DECLARE_COMPILED_FOR(x86_64_v2, Kernels, name) \
  PANNA_DECLARE_COMPILED_FOR(portable, Kernels, name)
#define PANNA_COMPILED(Kernels, name)                                                       \
  std::vector<CompiledKernels<Kernels>>({PANNA_COMPILED_FOR("x86-64-v4", x86_64_v4, name),  \
                                         PANNA_COMPILED_FOR("x86-64-v3", x86_64_v3, name),  \
                                         PANNA_COMPILED_FOR("x86-64-v2", x86_64_v2, name),  \
                                         PANNA_COMPILED_FOR("portable", portable, name)})
#else
#define PANNA_DECLARE_COMPILED(Kernels, name) PANNA_DECLARE_COMPILED_FOR(portable, Kernels, name)
#define PANNA_COMPILED(Kernels, name) \
  std::vector<CompiledKernels<Kernels>>({PANNA_COMPILED_FOR("portable", portable, name)})
#endif

namespace panna_plus {

/// The kernels of one instruction set.
template <template <class> class Kernels>
struct CompiledKernels {
  const char *name;
  const Kernels<float> *single;
  const Kernels<double> *double_;

  const Kernels<float> &of(float) const { return *single; }
  const Kernels<double> &of(double) const { return *double_; }
};

/// Those of the instruction set called `name`, or of the fastest that this processor runs if it is empty. A Failure
/// lists what there is.
template <template <class> class Kernels>
CompiledKernels<Kernels> compiled_for(const std::string &name, const std::vector<CompiledKernels<Kernels>> &all) {
  const std::string set = instruction_set(name).name;
  return *std::find_if(all.begin(), all.end(), [&](const auto &each) { return set == each.name; });
}

}  // namespace panna_plus
