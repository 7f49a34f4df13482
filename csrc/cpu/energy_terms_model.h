// The numbers of the energy terms in the layout and precision of the kernels.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/energy_terms_kernels.h"
#include "math/envelope.h"
#include "math/repulsion.h"
#include "potential/energy_terms_parameters.h"

namespace panna_plus {

template <class T>
class EnergyTermsModel {
 public:
  EnergyTermsModel(const EnergyTermsParameters &parameters, int lanes);
  EnergyTermsModel(const EnergyTermsModel &) = delete;
  EnergyTermsModel &operator=(const EnergyTermsModel &) = delete;

  const HeadsView<T> &heads() const { return heads_; }
  const LongRangeView<T> &long_range() const { return long_range_; }
  /// Of the charge (which = 0) or the ratio (1) of an atom of this species.
  double offset(int species, int which) const { return offsets_[index(2 * species + which)]; }
  double polarizability(int species) const { return polarizabilities_[index(species)]; }
  /// (S) for pairs with this species: C_6 over the product of polarizabilities.
  const T *strengths(int species) const { return strengths_.data() + index(species * n_elements_); }
  const math::Screening &screening() const { return screening_; }
  const math::NuclearPair &nuclei(int a, int b) const { return nuclei_[index(a * n_elements_ + b)]; }
  std::size_t memory_usage() const;

 private:
  static std::size_t index(int k) { return static_cast<std::size_t>(k); }
  void set_sizes(const EnergyTermsParameters &parameters, int lanes);
  void add_head(const AtomHead &head, int which, int first);
  void set_dispersion(const DispersionParameters &dispersion, double cutoff);
  void set_repulsion(const RepulsionParameters &repulsion);

  int n_elements_;
  std::vector<T> forward_, backward_, bias_, outer_, strengths_;
  std::vector<double> offsets_, polarizabilities_;
  std::vector<math::NuclearPair> nuclei_;
  math::Screening screening_{};
  HeadsView<T> heads_;
  LongRangeView<T> long_range_;
};

extern template class EnergyTermsModel<float>;
extern template class EnergyTermsModel<double>;

}  // namespace panna_plus
