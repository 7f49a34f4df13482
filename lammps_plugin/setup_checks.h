// SPDX-License-Identifier: GPL-2.0-or-later
//
// What can be wrong with the input script around the pair style. Each check stops, or warns where said so.
#ifndef PANNA_PLUS_SETUP_CHECKS_H
#define PANNA_PLUS_SETUP_CHECKS_H

#include "pointers.h"

#include <string>
#include <vector>

namespace panna_plus_lammps {

/// Stops if the launcher started several processes that do not see each other (mpirun of another MPI).
void check_launcher(LAMMPS_NS::LAMMPS *lammps);

/// LAMMPS removes bonded neighbors whose lj and coul factors are both exactly 0 from the neighbor list.
void check_special_bonds(LAMMPS_NS::LAMMPS *lammps);

/// `species` by atom type, -1 where the type is NULL: excluding pairs with such a type changes nothing.
void check_exclusions(LAMMPS_NS::LAMMPS *lammps, const std::vector<int> &species);

/// Warns where the mass of a type differs by more than 10 % from that of its element: swapped names.
void check_masses(LAMMPS_NS::LAMMPS *lammps, const std::vector<std::string> &element_of_type);

/// Warns, with the reason, where LAMMPS is about to refuse a compute that takes the energy of one pair of atoms.
void check_computes(LAMMPS_NS::LAMMPS *lammps);

}    // namespace panna_plus_lammps

#endif
