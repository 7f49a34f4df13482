// Several potentials as one: a committee whose members have neither descriptor nor family in common.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "potential/potential.h"

namespace panna_plus {

/// `name` is what errors call it: the path of its file.
struct NamedPotential {
  std::string name;
  std::unique_ptr<Potential> potential;
};

/// The potential whose results are the means of theirs, each counted as often as it has members: as if all had been
/// merged into one file. Its members are theirs, in this order; where one of them knows nothing but its own mean, it
/// has none. Of details it has those that all of them have: their means, and of "extrapolation" the largest, since an
/// atom is known only if all of them know it.
///
/// At least one; one alone is returned as it is. A Failure names two that do not know the same elements, whose order
/// may differ.
std::unique_ptr<Potential> mean_of(std::vector<NamedPotential> potentials);

}  // namespace panna_plus
