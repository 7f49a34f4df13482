// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef PANNA_PLUS_UNITS_H
#define PANNA_PLUS_UNITS_H

#include "pointers.h"

#include <string>

namespace panna_plus_lammps {

/// Factors from the model's units (eV, angstrom) to those of the input script.
struct Units {
  std::string style = "metal";
  double length = 1.0;
  double energy = 1.0;

  double force() const { return energy / length; }
  bool is_native() const { return length == 1.0 && energy == 1.0; }
};

/// The factors for the running script's `units`. Stops for a style that cannot be converted.
Units units_of(LAMMPS_NS::LAMMPS *lammps);

}    // namespace panna_plus_lammps

#endif
