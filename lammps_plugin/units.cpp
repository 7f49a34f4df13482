// SPDX-License-Identifier: GPL-2.0-or-later
#include "units.h"

#include "error.h"
#include "force.h"
#include "update.h"

namespace panna_plus_lammps {

// Boltzmann's constant in eV/K as LAMMPS has it in `units metal`: a newer value would give an energy
// factor of 1.000001 there.
constexpr double boltzmann_metal = 8.617343e-5;

Units units_of(LAMMPS_NS::LAMMPS *lammps)
{
  const std::string style = lammps->update->unit_style;
  if (style != "metal" && style != "real" && style != "electron")
    lammps->error->all(FLERR,
                       "pair_style panna_plus: the model is in eV and angstrom and cannot be used with units " +
                           style + ": use units metal, real or electron");
  return {style, lammps->force->angstrom, lammps->force->boltz / boltzmann_metal};
}

}    // namespace panna_plus_lammps
