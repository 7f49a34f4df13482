#include "cpu/instruction_sets.h"

#include "system/failure.h"

namespace panna_plus {

namespace {

bool always() { return true; }

#if defined(__x86_64__) && !defined(PANNA_PORTABLE_ONLY)
// Feature by feature: the compiler's own check for "x86-64-v3" is younger than the compilers we support.
bool has_v2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
bool has_v3() {
  return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

}  // namespace

const std::vector<InstructionSet> &instruction_sets() {
  static const std::vector<InstructionSet> sets = {
#if defined(__x86_64__) && !defined(PANNA_PORTABLE_ONLY)
      {"x86-64-v4", has_v4},
      {"x86-64-v3", has_v3},
      {"x86-64-v2", has_v2},
#endif
      {"portable", always}};
  return sets;
}

const InstructionSet &instruction_set(const std::string &name) {
  std::string known;
  for (const InstructionSet &set : instruction_sets()) {
    if (!set.is_supported()) continue;
    if (name.empty() || name == set.name) return set;
    known += (known.empty() ? "" : ", ") + std::string(set.name);
  }
  throw Failure("kernels '" + name + "' are not available on this processor: expected one of " + known +
                ", or reference");
}

}  // namespace panna_plus
