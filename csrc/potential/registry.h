// Families by name. The table is data: the floor above says what is in it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "potential/potential.h"

namespace panna_plus {

struct Family {
  std::string name;
  std::function<std::unique_ptr<Potential>(const ModelFile &, const Opening &)> build;
  bool has_long_range = false;  // whether Opening::long_range_cutoff and dispersion_damping mean something
};

/// Builds the potential that `file` describes; a Failure lists the known families if its own is unknown.
std::unique_ptr<Potential> build_potential(const std::vector<Family> &families, const ModelFile &file,
                                           const Opening &opening);

}  // namespace panna_plus
