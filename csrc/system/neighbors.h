// The neighbours of one centre inside the cutoff, in double, checked.
#pragma once

#include <cstdint>
#include <vector>

#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

struct NeighborRow {
  std::int64_t atom;
  std::int32_t species;
  double r[3];  // x_j - x_i, angstrom
  double distance;
};

/// What distances are compared with.
struct PairLimits {
  double cutoff;
  int n_elements;
  const double *shortest_distances;  // (S, S)
};

/// Species of a centre: -1 if it is to be skipped. A Failure if it is out of range or its position is
/// not finite.
int center_species(const Neighborhood &atoms, std::int64_t center, int n_elements);

/// Fills `rows` with the neighbours closer than the cutoff. A Failure names both atoms when they
/// coincide, when a coordinate is not finite or when the list holds a row that does not exist.
void gather_neighbors(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits,
                      std::vector<NeighborRow> &rows, ClosestPair &closest);

}  // namespace panna_plus
