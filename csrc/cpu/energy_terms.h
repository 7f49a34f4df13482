// The energy terms of known form beside a network, on the features that it gives atoms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "math/envelope.h"
#include "potential/energy_terms_parameters.h"
#include "system/first_failure.h"
#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

/// Features of atoms, and the derivatives of the energy with respect to them. Without charges and ratios all may be
/// null.
template <class T>
struct AtomFeatures {
  std::int64_t n_rows = 0;
  // (n_rows) ascending: rows that have features, all of species 0 or above. All centres are among them, and where there
  // are no images all atoms within the long-range cutoff of a centre.
  const std::int32_t *rows = nullptr;
  const T *features = nullptr;         // those of atom row k begin at features + k * stride
  T *gradients = nullptr;              // laid out like the features; added to, for centres
  std::ptrdiff_t stride = 0;
};

/// Immutable: any number of threads may call `add` at once.
///
/// The atoms of the system are the centres of all processes together, as they must be where charges add up to a total:
/// what a pair gives to its two atoms is computed at each of them, from its own neighbour list. Nothing is added to
/// forces of images (of repulsion apart), and no derivative with respect to charges has to be sent back.
template <class T>
class EnergyTerms {
 public:
  /// `kernels` as in Opening; `envelope` is the cutoff function of the model's pairs, which ends the repulsion.
  EnergyTerms(const EnergyTermsParameters &parameters, math::Envelope envelope, const std::string &kernels);
  EnergyTerms(EnergyTerms &&) noexcept;
  EnergyTerms &operator=(EnergyTerms &&) noexcept;
  ~EnergyTerms();

  /// Of the neighbour lists that the terms need, angstrom; 0 if there are no terms.
  double cutoff() const;
  /// How far the terms reach beyond what the features depend on, angstrom: of the long-range ones, 0 without.
  double reach() const;
  /// Whether charges or ratios have to reach images: one more exchange.
  bool is_long_ranged() const;
  /// Whether the total charge enters.
  bool has_charges() const;
  /// Names of details, in the order of the Python model.
  const std::vector<std::string> &details() const;
  std::size_t memory_usage() const;

  /// Adds energies, forces and virials of the centres, their details and the derivatives with respect to their
  /// features. What goes wrong is kept in `failure`; with a failure, earlier or of its own, it only takes part in
  /// exchanges: with charges sum(2), then to_images(2) where is_long_ranged() and there are images, and with charges
  /// sum(1). Without an exchange no row is an image.
  void add(const Neighborhood &atoms, const AtomFeatures<T> &features, FirstFailure &failure, Results &results) const;

 private:
  class Implementation;
  std::unique_ptr<const Implementation> implementation_;
};

extern template class EnergyTerms<float>;
extern template class EnergyTerms<double>;

}  // namespace panna_plus
