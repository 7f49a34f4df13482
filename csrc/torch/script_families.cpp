// The table of families of libpanna_plus_torchscript.so: the file's own program serves all of them.
#include "cpu/families.h"
#include "torch/script_potential.h"

namespace panna_plus {

const std::vector<Family> &cpu_families() {
  static const std::vector<Family> families = {{"panna", build_script_potential},
                                               {"so3krates", build_script_potential}};
  return families;
}

}  // namespace panna_plus
