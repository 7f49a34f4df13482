// Parameters of a panna model: descriptor and one perceptron per element. Sizes and numbers, no loops
// over atoms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "math/activation.h"
#include "model_file/model_file.h"
#include "potential/named_arrays.h"

namespace panna_plus {

enum class PannaDescriptor { mbp, bp };

struct PannaRadial {
  double cutoff = 0.0;
  std::vector<double> eta, centers;
};

/// mbp uses centers, theta and epsilon; bp uses lambda. One window per (center, theta) or per entry.
struct PannaAngular {
  double cutoff = 0.0;
  std::vector<double> eta, centers, theta, zeta, lambda;
  double epsilon = 0.0;
};

struct DenseLayer {
  int n_in = 0, n_out = 0;
  math::Activation activation = math::Activation::linear;
  std::vector<double> weight;  // (n_out, n_in)
  std::vector<double> bias;    // (n_out)
};

struct PannaNetwork {
  std::vector<double> feature_mean, feature_scale;
  std::vector<DenseLayer> layers;
};

/// Descriptor values of the training atoms of an element: with x = (G - mean) / deviation, the squared extrapolation is
///   sum_k weights[k] (components[k] . x)^2 + weight_beside (what is left of x)^2
struct PannaStatistics {
  std::vector<double> mean, deviation;
  std::vector<double> components;  // (K, F)
  std::vector<double> weights;     // (K)
  double weight_beside = 0.0;

  int n_components() const { return static_cast<int>(weights.size()); }
};

struct PannaParameters {
  int n_elements = 0;
  PannaDescriptor descriptor = PannaDescriptor::mbp;
  PannaRadial radial;
  PannaAngular angular;
  bool subtract_lone_atom = true;
  int n_members = 1;                       // of a committee, whose energy is the mean of theirs
  std::vector<double> reference_energies;  // (n_members, S)
  std::vector<double> shortest_distances;  // (S, S)
  std::vector<PannaNetwork> networks;      // (n_members, S)
  std::vector<PannaStatistics> statistics; // (S), or none where the file has none

  int n_radial() const { return static_cast<int>(radial.eta.size()); }
  /// Angular functions of one species pair.
  int n_angular() const;
  int n_features() const { return n_elements * n_radial() + n_elements * (n_elements + 1) / 2 * n_angular(); }
  double cutoff() const { return radial.cutoff > angular.cutoff ? radial.cutoff : angular.cutoff; }

  int radial_offset(int species) const { return species * n_radial(); }
  int angular_offset(int species_a, int species_b) const;
};

/// Whether a file of the family has energy terms beside its perceptrons: the repulsion of nuclei.
bool has_repulsion(const ModelFile &file);

/// Reads and checks the parameters of a file of the family; those of a repulsion are in EnergyTermsParameters.
PannaParameters read_panna_parameters(const ModelFile &file);

/// The same for the arrays of a descriptor alone, named as in files; networks and energies stay empty.
PannaParameters read_panna_descriptor(const NamedArrays &arrays, const std::string &kind, int n_elements);

}  // namespace panna_plus
