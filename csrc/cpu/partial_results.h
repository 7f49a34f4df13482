#pragma once

#include <cstdint>
#include <vector>

#include "system/results.h"

namespace panna_plus {

/// What one thread adds up: arrays of its own for what several threads would write to.
class PartialResults {
 public:
  /// Starts from zero, with the arrays that `wanted` has; those of members only for what evaluates them.
  void reset(const Results &wanted, std::int64_t n_atoms, int n_members = 0);
  Results &results() { return results_; }
  void add_to(Results &total, std::int64_t n_atoms, int n_members = 0) const;

 private:
  std::vector<double> forces_, atomic_virials_, centroid_virials_, member_energies_, member_forces_;
  Results results_;
};

}  // namespace panna_plus
