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
  std::function<std::unique_ptr<Potential>(const ModelFile &, Precision, const std::string &kernels)> build;
};

/// Builds the potential that `file` describes; a Failure lists the known families if its own is unknown.
/// `kernels` chooses an implementation by name; empty: the fastest.
std::unique_ptr<Potential> build_potential(const std::vector<Family> &families, const ModelFile &file,
                                           Precision precision, const std::string &kernels);

}  // namespace panna_plus
