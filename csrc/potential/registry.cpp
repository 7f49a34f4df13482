#include "potential/registry.h"

namespace panna_plus {

std::unique_ptr<Potential> build_potential(const std::vector<Family> &families, const ModelFile &file,
                                           Precision precision, const std::string &kernels) {
  std::string known;
  for (const Family &family : families) {
    if (family.name == file.family()) return family.build(file, precision, kernels);
    known += (known.empty() ? "" : ", ") + family.name;
  }
  file.fail("card key 'family'", "a family that the native engine evaluates (" + known + ")",
            "\"" + file.family() + "\"");
}

}  // namespace panna_plus
