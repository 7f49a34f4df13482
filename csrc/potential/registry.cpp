#include "potential/registry.h"

#include "system/failure.h"

namespace panna_plus {
namespace {

void refuse_what_means_nothing(const Family &family, const Opening &opening) {
  const bool is_asked = opening.long_range_cutoff != 0.0 || opening.dispersion_damping != 0.0;
  require(family.has_long_range || !is_asked,
          "a long-range cutoff or damping was given, but models of the family " + family.name +
              " have no long-range terms here: leave it out");
}

}  // namespace

std::unique_ptr<Potential> build_potential(const std::vector<Family> &families, const ModelFile &file,
                                           const Opening &opening) {
  std::string known;
  for (const Family &family : families) {
    if (family.name == file.family()) {
      refuse_what_means_nothing(family, opening);
      return family.build(file, opening);
    }
    known += (known.empty() ? "" : ", ") + family.name;
  }
  file.fail("card key 'family'", "a family that the native engine evaluates (" + known + ")",
            "\"" + file.family() + "\"");
}

}  // namespace panna_plus
