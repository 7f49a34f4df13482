#include "cpu/families.h"

#include "cpu/panna_cpu.h"
#include "cpu/panna_reference.h"

namespace panna_plus {
namespace {

std::unique_ptr<Potential> build_panna(const ModelFile &file, const Opening &opening) {
  if (opening.kernels == "reference") return build_panna_reference(file, opening.precision);
  return build_panna_cpu(file, opening.precision, opening.kernels);
}

}  // namespace

const std::vector<Family> &cpu_families() {
  static const std::vector<Family> families = {{"panna", build_panna}};
  return families;
}

}  // namespace panna_plus
