// Displacements to neighbors, listed center by center: what the descriptor takes where there are no positions.
#pragma once

#include <cstdint>

namespace panna_plus {

/// Directed pairs sorted by center; a view, nothing is owned. Pairs beyond the cutoff are legal.
struct PairLists {
  std::int64_t n_centers = 0, n_pairs = 0;
  const double *displacements = nullptr;    // (n_pairs, 3), x_j - x_i, angstrom
  const std::int64_t *row_start = nullptr;  // (n_centers + 1): where the pairs of a center begin
  // (n_pairs) species of the neighbors, in one of two widths
  const std::int32_t *species = nullptr;
  const std::int64_t *long_species = nullptr;

  std::int64_t n_neighbors(std::int64_t center) const { return row_start[center + 1] - row_start[center]; }
  std::int64_t species_of(std::int64_t pair) const { return long_species ? long_species[pair] : species[pair]; }
};

/// Centers first, first + 1, ... last - 1.
struct CenterRange {
  std::int64_t first, last;
};

/// A Failure if the range, the starts of its rows or a species in them is out of range.
void check_pairs(const PairLists &pairs, CenterRange range, int n_elements);

/// A Failure that names the first pair of a center whose length is 0 or not finite.
void check_displacements(const PairLists &pairs, std::int64_t center);

}  // namespace panna_plus
