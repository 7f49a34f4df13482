// SPDX-License-Identifier: GPL-2.0-or-later
//
// Errors of one rank become errors of all: a rank that stops alone leaves the others waiting for ever.
#ifndef PANNA_PLUS_AGREEMENT_H
#define PANNA_PLUS_AGREEMENT_H

#include "mpi_symbols.h"

#include <string>

namespace panna_plus_lammps {

/// What all ranks know after one reduction of what each of them found in a step: complaints, distances relative to
/// those of the training data, Hirshfeld ratios.
struct Verdict {
  int complaining_rank;    // -1: nobody complains
  double closest_ratio;    // smallest of all ranks
  double lowest_ratio;     // the same
};

/// Collective. `complaint` is empty where all is well.
Verdict agree(const std::string &complaint, double closest_ratio, double lowest_ratio, MPI_Comm world);

/// Collective: the lowest rank with `mine` set, -1 if there is none.
int first_rank_with(bool mine, MPI_Comm world);

/// Collective: the text that `rank` holds.
std::string text_of_rank(const std::string &text, int rank, MPI_Comm world);

/// Collective: the complaint of the lowest complaining rank, empty if nobody complains.
std::string first_complaint(const std::string &complaint, MPI_Comm world);

}    // namespace panna_plus_lammps

#endif
