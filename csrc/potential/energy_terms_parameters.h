// Parameters of the energy terms beside a network: repulsion, electrostatics and dispersion. Any family whose card has
// `family_parameters.terms` may have them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "model_file/model_file.h"

namespace panna_plus {

/// E = 1/2 w f k_e Z_i Z_j / r sum_k c_k exp(-a_k r (Z_i^p + Z_j^p) D), w falling from 1 at 0 to 0 at `end`.
struct RepulsionParameters {
  std::vector<double> numbers;                    // (S) Z
  std::array<double, 4> exponents, coefficients;  // a_k, c_k; the sum of c_k is 1
  double power = 0.0, screening = 0.0;            // p, D in 1/angstrom
  double end = 0.0;                               // angstrom
};

/// One number per atom from its features: offset_Z + outer_Z . silu(inner x + bias).
struct AtomHead {
  int n_hidden = 0;
  std::vector<double> inner, bias;    // (n_hidden, F), (n_hidden)
  std::vector<double> outer, offset;  // (S, n_hidden), (S)
};

/// k_e q_i q_j / 2 times erf(r / width) / r, shifted to be 0 at the cutoff with value and slope.
struct ElectrostaticsParameters {
  AtomHead charges;  // before they are shifted to add up to the total charge, e
  double width = 0.0, switch_start = 0.0;  // angstrom
};

struct DispersionParameters {
  AtomHead ratios;  // their absolute values are the Hirshfeld ratios
  std::vector<double> polarizabilities, coefficients;  // (S) of free atoms, bohr^3 and hartree bohr^6
  double scale = 0.0, switch_start = 0.0;              // of the damping radius; angstrom
};

struct EnergyTermsParameters {
  int n_elements = 0, n_features = 0;
  std::optional<RepulsionParameters> repulsion;
  std::optional<ElectrostaticsParameters> electrostatics;
  std::optional<DispersionParameters> dispersion;
  double long_range_cutoff = 0.0;  // angstrom, of electrostatics and dispersion; 0 without them
};

/// What is asked for instead of what the file says, angstrom; 0: as the file says.
struct LongRange {
  double cutoff = 0.0, dispersion_damping = 0.0;
};

/// Reads and checks the terms that `family_parameters.terms` of the card switches on.
///
/// `folder` is what the names of their arrays begin with, such as "terms/"; `n_features` and `n_hidden` are the number
/// of features of an atom and the width of the perceptron of charges, of which that of ratios has half.
EnergyTermsParameters read_energy_terms_parameters(const ModelFile &file, const std::string &folder, int n_features,
                                                   int n_hidden, LongRange wanted);

}  // namespace panna_plus
