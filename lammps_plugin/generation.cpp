// SPDX-License-Identifier: GPL-2.0-or-later
#include "generation.h"

#include <atomic>

namespace panna_plus_lammps {
namespace {

/// Several LAMMPS objects of a process may run in several threads.
std::int64_t next_number()
{
  static std::atomic<std::int64_t> last{0};
  return ++last;
}

}    // namespace

std::int64_t Generation::of(const LAMMPS_NS::Neighbor &neighbor, const std::vector<std::int32_t> &species,
                            const std::vector<std::int32_t> &centers)
{
  const bool is_built = neighbor.ago == 0 || neighbor.lastcall != build_step_ || neighbor.ncalls != n_builds_;
  if (!is_built && species == species_ && centers == centers_) return number_;
  build_step_ = neighbor.lastcall;
  n_builds_ = neighbor.ncalls;
  species_ = species;
  centers_ = centers;
  return number_ = next_number();
}

double Generation::memory_usage() const
{
  return static_cast<double>((species_.capacity() + centers_.capacity()) * sizeof(std::int32_t));
}

}    // namespace panna_plus_lammps
