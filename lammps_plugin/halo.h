// SPDX-License-Identifier: GPL-2.0-or-later
//
// How far atoms of other ranks must be known.
#ifndef PANNA_PLUS_HALO_H
#define PANNA_PLUS_HALO_H

#include "pointers.h"

namespace panna_plus_lammps {

/// Ghosts as far away as the energies of a rank's atoms depend on others, beyond the neighbors of those atoms.
class DeepHalo : protected LAMMPS_NS::Pointers {
 public:
  using Pointers::Pointers;

  /// In init_style: has LAMMPS keep ghosts up to `reach` (units of the script) and the skin, unless comm_modify says
  /// how far. The log says so.
  void ask_for(double reach);
  /// Leaves the choice to LAMMPS again.
  void release();

 private:
  double asked_ = 0.0;    // what comm_modify cutoff would be told, 0 while nothing is asked for
};

/// Stops where comm_style tiled cannot keep ghosts as far away as `cutoff` and the skin.
void check_tiles(LAMMPS_NS::LAMMPS *lammps, double cutoff);

/// Stops where ghosts are not known up to `cutoff`. Both in the script's units of length.
void check_ghost_cutoff(LAMMPS_NS::LAMMPS *lammps, double cutoff);

}    // namespace panna_plus_lammps

#endif
