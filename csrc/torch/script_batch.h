// Pairs of some centers as the flat arrays that an exported program takes.
#pragma once

#include <cstdint>
#include <vector>

#include "system/neighbors.h"
#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

/// What more than the pairs of the centers a model with messages needs: those of the neighbors, closer than `cutoff`,
/// and of their neighbors, `n` times.
struct Rings {
  double cutoff = 0.0;  // angstrom
  int n = 0;
};

/// Atoms are numbered anew: the centers in their order, then the neighbors as they are met. Pairs are
/// therefore sorted by center, and atoms that nobody sees do not appear.
class ScriptBatch {
 public:
  explicit ScriptBatch(std::int64_t n_atoms) : number_of_row_(static_cast<std::size_t>(n_atoms), -1) {}

  /// Takes centers[first] and those after it, until many neighbors are listed; returns the first that is
  /// left over.
  std::int64_t gather(const Neighborhood &atoms, std::int64_t first, const PairLimits &limits, ClosestPair &closest);

  /// Takes all centers, and the pairs of the rings around them, whose atoms need lists of their own.
  void gather_all(const Neighborhood &atoms, const PairLimits &limits, const Rings &rings, ClosestPair &closest);

  std::int64_t n_centers = 0;
  std::vector<std::int64_t> rows;     // (n_atoms) of the Neighborhood, by number
  std::vector<std::int64_t> species;  // (n_atoms)
  std::vector<double> displacements;  // (n_pairs, 3), angstrom
  std::vector<std::int64_t> centers, neighbors;  // (n_pairs) numbers

 private:
  void clear();
  /// Adds the pairs of those atoms that have the numbers first ... last - 1.
  void add_pairs(const Neighborhood &atoms, std::int64_t first, std::int64_t last, const PairLimits &limits,
                 ClosestPair &closest);
  std::int64_t number_of(const Neighborhood &atoms, std::int64_t row);

  std::vector<std::int64_t> number_of_row_;  // -1: not in this batch
  std::vector<NeighborRow> found_;
};

}  // namespace panna_plus
