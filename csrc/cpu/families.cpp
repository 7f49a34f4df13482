#include "cpu/families.h"

#include <utility>

#include "cpu/panna_cpu.h"
#include "cpu/panna_reference.h"
#include "cpu/panna_repelled.h"
#include "cpu/so3krates_cpu.h"
#include "potential/panna_parameters.h"

namespace panna_plus {
namespace {

std::unique_ptr<Potential> build_panna(const ModelFile &file, const Opening &opening) {
  const bool is_plain = opening.kernels == "reference";
  std::unique_ptr<Potential> alone = is_plain ? build_panna_reference(file, opening.precision)
                                              : build_panna_cpu(file, opening.precision, opening.kernels);
  return has_repulsion(file) ? with_repulsion(file, std::move(alone)) : std::move(alone);
}

}  // namespace

const std::vector<Family> &cpu_families() {
  static const std::vector<Family> families = {{"panna", build_panna}, {"so3krates", build_so3krates_cpu, true}};
  return families;
}

}  // namespace panna_plus
