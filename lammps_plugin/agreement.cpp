// SPDX-License-Identifier: GPL-2.0-or-later
#include "agreement.h"

#include <algorithm>

namespace panna_plus_lammps {

Verdict agree(const std::string &complaint, double closest_ratio, MPI_Comm world)
{
  int me = 0, n_ranks = 1;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &n_ranks);
  const double mine[2] = {complaint.empty() ? n_ranks : static_cast<double>(me), std::min(closest_ratio, 1e30)};
  double smallest[2];
  MPI_Allreduce(mine, smallest, 2, MPI_DOUBLE, MPI_MIN, world);
  return {smallest[0] < n_ranks ? static_cast<int>(smallest[0]) : -1, smallest[1]};
}

int first_rank_with(bool mine, MPI_Comm world)
{
  return agree(mine ? "yes" : "", 0.0, world).complaining_rank;
}

std::string text_of_rank(const std::string &text, int rank, MPI_Comm world)
{
  int length = static_cast<int>(text.size());
  MPI_Bcast(&length, 1, MPI_INT, rank, world);
  std::string shared = text;
  shared.resize(length);
  MPI_Bcast(shared.data(), length, MPI_CHAR, rank, world);
  return shared;
}

std::string first_complaint(const std::string &complaint, MPI_Comm world)
{
  const int rank = first_rank_with(!complaint.empty(), world);
  return rank < 0 ? std::string() : text_of_rank(complaint, rank, world);
}

}    // namespace panna_plus_lammps
