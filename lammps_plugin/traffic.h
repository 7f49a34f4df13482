// SPDX-License-Identifier: GPL-2.0-or-later
//
// Rows of arrays on their way between atoms and the ghosts that are copies of them.
#ifndef PANNA_PLUS_TRAFFIC_H
#define PANNA_PLUS_TRAFFIC_H

#include "options.h"
#include "panna_plus.h"
#include "pointers.h"

#include <vector>

namespace LAMMPS_NS {
class Pair;
}

namespace panna_plus_lammps {

/// Uses the communication of LAMMPS, which asks the pair style to pack and unpack: it passes that on to here.
class Traffic : protected LAMMPS_NS::Pointers {
 public:
  Traffic(LAMMPS_NS::LAMMPS *lammps, LAMMPS_NS::Pair *style);

  /// Some columns of an array (n_atoms, stride).
  struct Columns {
    double *values;
    int stride;
    int first;
    int count;
  };

  /// In init_style, before LAMMPS makes its buffers: rows will travel to ghosts between layers.
  void announce();
  /// For the engine, valid as long as this object; without images where ghosts are deep.
  const PannaPlusExchange *exchange(Halo halo);

  /// Collective. values (n_atoms, width): rows of ghosts become those of their atoms.
  void to_ghosts(double *values, int width);
  /// Collective. Rows of ghosts are added to those of their atoms, for several arrays in one message: their columns
  /// together are at most what the style announces.
  void from_ghosts(const std::vector<Columns> &columns);
  /// Collective. values (n): their sums over all ranks.
  void sum(double *values, int n);

  // What the pair style passes on. `list` are rows, else they begin at `first`; returns the numbers written.
  int pack(int n, const int *list, double *buffer) const;
  int pack(int n, int first, double *buffer) const;
  void unpack_copied(int n, int first, const double *buffer);
  void unpack_added(int n, const int *list, const double *buffer);

 private:
  double *pack_row(int row, double *buffer) const;

  LAMMPS_NS::Pair *style_;
  std::vector<Columns> columns_;    // that travel now
  PannaPlusExchange exchange_{};
};

}    // namespace panna_plus_lammps

#endif
