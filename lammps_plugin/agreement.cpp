// SPDX-License-Identifier: GPL-2.0-or-later
#include "agreement.h"

#include <algorithm>

namespace panna_plus_lammps {

namespace {

/// Whether a complaint is only that of a rank that was told to stop: the engine says so of what it heard from others.
bool is_echo(const std::string &complaint)
{
  return complaint.find("another process stopped") != std::string::npos;
}

}    // namespace

Verdict agree(const std::string &complaint, double closest_ratio, double lowest_ratio, MPI_Comm world)
{
  int me = 0, n_ranks = 1;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &n_ranks);
  // Causes before echoes.
  const int place = complaint.empty() ? 2 * n_ranks : is_echo(complaint) ? n_ranks + me : me;
  double mine[3] = {static_cast<double>(place), std::min(closest_ratio, 1e30), std::min(lowest_ratio, 1e30)};
  double smallest[3];
  MPI_Allreduce(mine, smallest, 3, MPI_DOUBLE, MPI_MIN, world);
  const int first = static_cast<int>(smallest[0]);
  return {first < 2 * n_ranks ? first % n_ranks : -1, smallest[1], smallest[2]};
}

int first_rank_with(bool mine, MPI_Comm world)
{
  return agree(mine ? "yes" : "", 0.0, 0.0, world).complaining_rank;
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
