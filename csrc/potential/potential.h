#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "model_file/model_file.h"
#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

/// mixed: positions, displacements and sums in double, arithmetic between in float.
enum class Precision { mixed, double_ };

/// What a model is, whatever its family.
struct Description {
  std::string family;
  std::vector<std::string> elements;
  double cutoff = 0.0;  // angstrom
  std::string card;     // JSON text
  std::string weights_sha256;
  std::string kernels;  // the implementation: "reference", an instruction set or how CUDA sums up forces
  std::string device;   // "cpu" or "cuda:0", ...
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
  Potential(const ModelFile &file, const std::string &kernels, const std::string &device = "cpu")
      : description_{file.family(), file.elements(), file.cutoff(), file.card_text(), file.weights_sha256(),
                     kernels,       device} {}

 private:
  Description description_;
};

}  // namespace panna_plus
