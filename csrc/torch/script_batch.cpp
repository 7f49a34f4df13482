#include "torch/script_batch.h"

namespace panna_plus {
namespace {

// What a program allocates grows with the triplets of a batch: some 100 MB at this size, below which the time
// that libtorch needs per operation begins to show.
constexpr std::int64_t listed_at_once = 8192;

}  // namespace

std::int64_t ScriptBatch::gather(const Neighborhood &atoms, std::int64_t first, const PairLimits &limits,
                                 ClosestPair &closest) {
  clear();
  std::int64_t end = first;
  for (std::int64_t listed = 0; end < atoms.n_centers && listed < listed_at_once; ++end) {
    const std::int64_t row = atoms.centers[end];
    if (center_species(atoms, row, limits.n_elements) < 0) continue;
    number_of(atoms, row);
    listed += atoms.n_neighbors[row];
  }
  n_centers = static_cast<std::int64_t>(rows.size());
  add_pairs(atoms, 0, n_centers, limits, closest);
  return end;
}

void ScriptBatch::gather_all(const Neighborhood &atoms, const PairLimits &limits, const Rings &rings,
                             ClosestPair &closest) {
  clear();
  for (std::int64_t k = 0; k < atoms.n_centers; ++k) {
    if (center_species(atoms, atoms.centers[k], limits.n_elements) >= 0) number_of(atoms, atoms.centers[k]);
  }
  n_centers = static_cast<std::int64_t>(rows.size());
  add_pairs(atoms, 0, n_centers, limits, closest);
  PairLimits near = limits;
  near.cutoff = rings.cutoff;
  ClosestPair reported_elsewhere;
  for (std::int64_t ring = 0, first = n_centers; ring < rings.n; ++ring) {
    const auto last = static_cast<std::int64_t>(rows.size());
    add_pairs(atoms, first, last, near, reported_elsewhere);
    first = last;
  }
}

void ScriptBatch::add_pairs(const Neighborhood &atoms, std::int64_t first, std::int64_t last, const PairLimits &limits,
                            ClosestPair &closest) {
  for (std::int64_t center = first; center < last; ++center) {
    gather_neighbors(atoms, rows[static_cast<std::size_t>(center)], limits, found_, closest);
    for (const NeighborRow &neighbor : found_) {
      centers.push_back(center);
      neighbors.push_back(number_of(atoms, neighbor.atom));
      displacements.insert(displacements.end(), neighbor.r, neighbor.r + 3);
    }
  }
}

void ScriptBatch::clear() {
  for (const std::int64_t row : rows) number_of_row_[static_cast<std::size_t>(row)] = -1;
  rows.clear();
  species.clear();
  displacements.clear();
  centers.clear();
  neighbors.clear();
}

std::int64_t ScriptBatch::number_of(const Neighborhood &atoms, std::int64_t row) {
  std::int64_t &number = number_of_row_[static_cast<std::size_t>(row)];
  if (number < 0) {
    number = static_cast<std::int64_t>(rows.size());
    rows.push_back(row);
    species.push_back(atoms.species[row]);
  }
  return number;
}

}  // namespace panna_plus
