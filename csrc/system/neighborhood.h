#pragma once

#include <cstdint>

#include "system/exchange.h"

namespace panna_plus {

/// Atoms and full neighbour lists of one evaluation; a view, nothing is owned.
/// Periodic images are rows of their own. Species -1 marks atoms that are neither counted nor seen.
struct Neighborhood {
  std::int64_t n_atoms = 0;
  const double *positions = nullptr;  // (n_atoms, 3), angstrom
  const std::int32_t *species = nullptr;
  std::int64_t n_centers = 0;
  const std::int32_t *centers = nullptr;
  const std::int32_t *n_neighbors = nullptr;       // indexed by atom
  const std::int32_t *const *neighbors = nullptr;  // indexed by atom
  std::int32_t neighbor_mask = -1;
  int n_threads = 1;
  // What is not 0 promises that species, centres and lists are those of every other evaluation of this model with the
  // same number: only positions have changed.
  std::int64_t generation = 0;
  // Only for models with messages; null where no row is an image.
  const Exchange *exchange = nullptr;
  double total_charge = 0.0;       // of the system, in e
  double unpaired_electrons = 0.0;  // of the system
};

}  // namespace panna_plus
