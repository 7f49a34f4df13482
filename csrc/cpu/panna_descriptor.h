// The descriptor alone, from displacements: values, gradients and Jacobian-vector products for training.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "cpu/pair_lists.h"
#include "potential/panna_parameters.h"
#include "potential/potential.h"

namespace panna_plus {

/// Symmetry functions of lists of displacements. Immutable: any number of threads may call at once, each for centers
/// of its own. Arrays are those of all centers and pairs; only rows of the range are read and written. Throws Failure
/// where rows are inconsistent, a species is unknown, or a displacement is 0 or not finite.
class PairDescriptor {
 public:
  virtual ~PairDescriptor() = default;

  /// features (n_centers, F) = G.
  virtual void forward(const PairLists &pairs, CenterRange range, double *features) const = 0;
  /// gradients (n_pairs, 3) = sum over the features of a center of g (n_centers, F) times dG/dr.
  virtual void backward(const PairLists &pairs, CenterRange range, const double *g, double *gradients) const = 0;
  /// features (n_centers, F) = sum over the pairs of a center of dG/dr times v (n_pairs, 3).
  virtual void tangent(const PairLists &pairs, CenterRange range, const double *v, double *features) const = 0;

  virtual int n_features() const = 0;
};

/// `kernels` names an instruction set (see instruction_sets.h); empty: the fastest that this processor runs. The
/// networks of `parameters` are not used.
std::unique_ptr<PairDescriptor> build_panna_descriptor(const PannaParameters &parameters, Precision precision,
                                                       const std::string &kernels);

}  // namespace panna_plus
