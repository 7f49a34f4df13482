#pragma once

#include <vector>

#include "potential/so3krates_parameters.h"

namespace panna_plus {

/// What the charge and spin of a system depend on beside themselves: atoms of each element, (S).
struct SystemState {
  double charge = 0.0, spin = 0.0;  // e, unpaired electrons
  std::vector<double> n_atoms;
};

/// First features of the elements (S, F). No geometry enters.
std::vector<double> element_features(const So3kratesParameters &model, const SystemState &state);

}  // namespace panna_plus
