// Parameters of a so3krates model: sizes, weights and tables of radial filters. No loops over atoms.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "math/activation.h"
#include "math/envelope.h"
#include "model_file/model_file.h"
#include "potential/energy_terms_parameters.h"
#include "potential/potential.h"

namespace panna_plus {

struct LinearMap {
  int n_in = 0, n_out = 0;
  std::vector<double> weight;  // (n_out, n_in)
  std::vector<double> bias;    // (n_out), or empty: none
};

struct LayerNorm {
  std::vector<double> scale, shift;  // (F)
};

/// x + outer silu(inner silu(x))
struct ResidualPerceptron {
  LinearMap inner, outer;
};

/// a_ij,h = f(r_ij) / norm sum_f q_i,hf W_ij,hf k_j,hf with W = table(r) + outer silu(inner p_ij).
struct So3kratesCoefficients {
  LinearMap spherical_inner, spherical_outer;
  std::vector<double> query, key;  // (chunks, size, size), a matrix per head or degree
};

struct So3kratesLayer {
  So3kratesCoefficients features, vectors;
  std::vector<double> value;  // (H, F/H, F/H)
  std::optional<LayerNorm> norm_1, norm_2;
  std::optional<ResidualPerceptron> residual_1, residual_2;
  LinearMap exchange;  // of features and one invariant per degree
};

/// What a charge or a number of unpaired electrons adds to the features; see the Python class of this name.
struct StateEmbedding {
  std::vector<double> query;         // (S, F)
  std::vector<double> keys, values;  // (2, F)
  LinearMap inner, outer;
};

/// Value, slope and curvature (angstrom) of the radial filters of features and of vectors at equidistant knots.
struct RadialTables {
  double spacing = 0.0;  // angstrom; the first knot lies at 0
  int n_knots = 0, n_features = 0;
  std::vector<double> values;  // (n_layers, 2, n_knots, 3, F)
};

struct So3kratesParameters {
  int n_elements = 0, n_features = 0, n_heads = 0;
  std::vector<int> degrees;
  math::Envelope envelope;
  std::array<double, 2> message_norms{};  // of features, of vectors
  math::Activation query_key_activation = math::Activation::linear, energy_activation = math::Activation::linear;
  bool subtract_lone_atom = true;
  std::vector<double> reference_energies, shortest_distances;  // (S), (S, S)
  std::vector<double> element_features;                        // (S, F)
  std::optional<StateEmbedding> charge, spin;
  std::array<double, 2> spin_range{};
  std::vector<So3kratesLayer> layers;
  RadialTables tables;
  LinearMap energy_inner, energy_outer;
  std::vector<double> energy_scale, energy_shift;  // (S)
  EnergyTermsParameters terms;

  int n_layers() const { return static_cast<int>(layers.size()); }
  int n_degrees() const { return static_cast<int>(degrees.size()); }
  /// Components of all degrees.
  int n_components() const;
  /// What features are divided by: the square root of the number of embeddings.
  double embedding_norm() const;
};

/// Reads and checks the parameters of a file of the family.
So3kratesParameters read_so3krates_parameters(const ModelFile &file, const Opening &opening);

}  // namespace panna_plus
