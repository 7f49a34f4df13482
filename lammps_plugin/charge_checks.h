// SPDX-License-Identifier: GPL-2.0-or-later
//
// Total charge, unpaired electrons and partial charges: what does not go with a model, and what to know about it.
#ifndef PANNA_PLUS_CHARGE_CHECKS_H
#define PANNA_PLUS_CHARGE_CHECKS_H

#include "engine.h"
#include "options.h"
#include "pointers.h"

namespace panna_plus_lammps {

/// Stops where an option means nothing to the model, or the model means nothing with it.
void check_charge_and_spin(LAMMPS_NS::LAMMPS *lammps, const Model &model, const Options &options);

/// On the first rank: warns of charges that the model was not compared with, and of charged periodic cells.
void warn_of_charge(LAMMPS_NS::LAMMPS *lammps, const Model &model, const Options &options);

/// Stops where charges are to be written to atoms that have none.
void check_atoms_have_charges(LAMMPS_NS::LAMMPS *lammps);

}    // namespace panna_plus_lammps

#endif
