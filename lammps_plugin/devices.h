// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which device each rank computes on.
#ifndef PANNA_PLUS_DEVICES_H
#define PANNA_PLUS_DEVICES_H

#include "engine.h"
#include "options.h"
#include "pointers.h"

#include <string>

namespace panna_plus_lammps {

/// Collective: "cpu" or "cuda:N" for this rank; "cuda" where it was asked for and there is none, so that opening a
/// model says why. `cuda` spreads the ranks of a node over its devices; `auto` is that where every rank has one.
std::string device_of_rank(LAMMPS_NS::LAMMPS *lammps, const Options &options);

/// Collective: which ranks use which device, for the log of rank 0. Warns where several ranks share one.
std::string device_table(LAMMPS_NS::LAMMPS *lammps, const Model &model);

}    // namespace panna_plus_lammps

#endif
