#pragma once

#include <cstdint>
#include <vector>

#include "system/results.h"

namespace panna_plus {

/// What one thread adds up: arrays of its own for what several threads would write to.
class PartialResults {
 public:
  /// Starts from zero, with the arrays that `wanted` has.
  void reset(const Results &wanted, std::int64_t n_atoms);
  Results &results() { return results_; }
  void add_to(Results &total, std::int64_t n_atoms) const;

 private:
  std::vector<double> forces_, atomic_virials_, centroid_virials_;
  Results results_;
};

}  // namespace panna_plus
