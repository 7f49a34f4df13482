#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model_file/model_file.h"
#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

/// mixed: positions, displacements and sums in double, arithmetic between in float.
enum class Precision { mixed, double_ };

/// How a model is opened.
struct Opening {
  Precision precision = Precision::double_;
  std::string kernels;  // an implementation by its name; empty: the fastest
  // Of long-range terms, angstrom; 0: as the file says.
  double long_range_cutoff = 0.0, dispersion_damping = 0.0;
};

/// The detail that says how far atoms are from the training data.
inline constexpr const char *extrapolation_detail = "extrapolation";

/// What a model is, whatever its family.
struct Description {
  std::string family;
  std::vector<std::string> elements;
  double cutoff = 0.0;  // angstrom
  std::string card;     // JSON text
  std::string weights_sha256;
  std::string kernels;  // the implementation: "reference", an instruction set or how CUDA sums up forces
  std::string device;   // "cpu" or "cuda:0", ...
  // Of models with messages.
  double message_cutoff = 0.0;  // angstrom
  double reach = 0.0;           // angstrom: how far an atom's energy depends on others
  int n_exchanges = 0;          // times that images must learn what became of atoms
  bool uses_charge = false, uses_spin = false;
  std::vector<std::string> details;  // names of what Results::details can ask for
  int n_members = 1;                 // of a committee; Results::member_energies and the like are for more than one
  int n_averaged = 1;                // the same, also where an implementation knows nothing but their mean
};

/// A model ready to be evaluated. Immutable: any number of threads may call compute at once.
class Potential {
 public:
  virtual ~Potential() = default;

  /// Adds energies, forces and virials of the centres; throws Failure on coincident or non-finite atoms.
  virtual void compute(const Neighborhood &atoms, Results &results) const = 0;
  virtual std::size_t memory_usage() const = 0;

  const Description &description() const { return description_; }

 protected:
  Potential(const ModelFile &file, const std::string &kernels, const std::string &device = "cpu") {
    description_.family = file.family();
    description_.elements = file.elements();
    description_.cutoff = description_.reach = file.cutoff();
    description_.card = file.card_text();
    description_.weights_sha256 = file.weights_sha256();
    description_.kernels = kernels;
    description_.device = device;
    const JsonValue *const members = file.card({"family_parameters"}).find("members");
    description_.n_averaged = members ? std::max(1, static_cast<int>(members->items.size())) : 1;
  }

  /// For potentials without a file of their own.
  explicit Potential(Description description) : description_(std::move(description)) {}

  /// For constructors of families whose models are more than a cutoff.
  Description &own_description() { return description_; }

 private:
  Description description_;
};

}  // namespace panna_plus
