// SPDX-License-Identifier: GPL-2.0-or-later
//
// When a device may keep what it has of atoms and neighbors, and when it must be sent again.
#ifndef PANNA_PLUS_GENERATION_H
#define PANNA_PLUS_GENERATION_H

#include "neighbor.h"

#include <cstdint>
#include <vector>

namespace panna_plus_lammps {

/// Numbers the states of one neighbor list: equal numbers mean equal atoms, species, centers and rows.
///
/// The rows are filled in Neighbor::build alone, also those of a hybrid style, which are cut out of the common list in
/// the same call. Every build sets Neighbor::ago to 0, and a time step that keeps the lists counts it up before forces
/// are computed; so ago > 0 says that they are those of the previous computation, provided that it came after the last
/// build. It does wherever LAMMPS integrates or minimizes; that the time and the number of the last build are compared
/// as well covers whoever builds twice between two computations. Not builds are:
/// - lists that a compute asks for now and then (`occasional`): they are others than ours and may be copies of it;
/// - sorting of atoms, exchange and borders: a build follows them before the next computation;
/// - `neigh_modify every, delay, once`: they decide when there is a build;
/// - two runs in a row, `run 0`, rerun: their setup builds. With `run N pre no` nothing has changed, or the lists are
///   wrong on the CPU as well.
/// Monte Carlo moves compute several times after one build, with other types (fix atom/swap): ago is 0 all that while,
/// and species and centers are compared whatever it says.
class Generation {
 public:
  /// The number for a computation, never 0. No other list of this process gets the same one.
  std::int64_t of(const LAMMPS_NS::Neighbor &neighbor, const std::vector<std::int32_t> &species,
                  const std::vector<std::int32_t> &centers);

  double memory_usage() const;    ///< bytes

 private:
  std::int64_t number_ = 0;
  LAMMPS_NS::bigint build_step_ = -1, n_builds_ = -1;
  std::vector<std::int32_t> species_, centers_;
};

}    // namespace panna_plus_lammps

#endif
