// SPDX-License-Identifier: GPL-2.0-or-later
#include "halo.h"

#include "comm.h"
#include "domain.h"
#include "error.h"
#include "neighbor.h"
#include "utils.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <string>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

/// Inverse distances between opposite faces of a triclinic box.
std::array<double, 3> per_length(const Domain &domain)
{
  const double *h_inv = domain.h_inv;
  return {std::hypot(std::hypot(h_inv[0], h_inv[5]), h_inv[4]), std::hypot(h_inv[1], h_inv[3]), h_inv[2]};
}

std::string decimal(double value)
{
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}    // namespace

void DeepHalo::ask_for(double reach)
{
  const double wanted = reach + neighbor->skin;
  const bool is_users = comm->cutghostuser > 0.0 && comm->cutghostuser != asked_;
  if (is_users || comm->cutghostuser == wanted) return;
  comm->cutghostuser = asked_ = wanted;
  if (comm->me == 0)
    utils::logmesg(lmp, "panna_plus: halo deep needs atoms up to " + decimal(reach) +
                            " away and the skin, as by 'comm_modify cutoff " + decimal(wanted) + "'\n");
}

void DeepHalo::release()
{
  if (asked_ > 0.0 && comm->cutghostuser == asked_) comm->cutghostuser = 0.0;
  asked_ = 0.0;
}

void check_tiles(LAMMPS *lammps, double cutoff)
{
  const Domain &domain = *lammps->domain;
  if (lammps->comm->style != Comm::TILED) return;
  const auto inverse = per_length(domain);
  const double needed = cutoff + lammps->neighbor->skin;
  for (int d = 0; d < 3; ++d) {
    const double length = domain.triclinic ? 1.0 / inverse[d] : domain.prd[d];
    if (!domain.periodicity[d] || needed <= length) continue;
    lammps->error->all(FLERR,
                       "pair_style panna_plus: atoms must be known up to " + decimal(needed) + " away, but comm_style "
                       "tiled can do that only up to the length of the box, " + decimal(length) + ": write "
                       "'comm_style brick', which has no such limit on any number of ranks, or replicate the box");
  }
}

void check_ghost_cutoff(LAMMPS *lammps, double cutoff)
{
  // In a triclinic box LAMMPS keeps the ghost cutoff as a fraction of the distance between opposite faces.
  const auto inverse = per_length(*lammps->domain);
  for (int d = 0; d < 3; ++d) {
    const double ghosts = lammps->comm->cutghost[d] / (lammps->domain->triclinic ? inverse[d] : 1.0);
    if (ghosts >= cutoff * (1.0 - 1e-10)) continue;
    lammps->error->all(FLERR,
                       "pair_style panna_plus: atoms of other ranks are known up to " + decimal(ghosts) +
                           " only, but the model needs " + decimal(cutoff) + ": write 'comm_modify cutoff " +
                           decimal(cutoff + lammps->neighbor->skin) + "' or leave it to LAMMPS");
  }
}

}    // namespace panna_plus_lammps
