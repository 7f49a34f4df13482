// SPDX-License-Identifier: GPL-2.0-or-later
//
// Elements by the labels that `labelmap` gives to atom types.
#ifndef PANNA_PLUS_TYPE_LABELS_H
#define PANNA_PLUS_TYPE_LABELS_H

#include "pointers.h"

#include <string>
#include <vector>

namespace panna_plus_lammps {

/// One entry per atom type, the first for type 1: what pair_coeff means by the word `labels`. Stops if a type has no
/// label that is the symbol of an element.
std::vector<std::string> elements_by_label(LAMMPS_NS::LAMMPS *lammps);

/// Stops if a type whose label is the symbol of an element is mapped to another one. `names` as above, or NULL.
void check_labels(LAMMPS_NS::LAMMPS *lammps, const std::vector<std::string> &names);

}    // namespace panna_plus_lammps

#endif
