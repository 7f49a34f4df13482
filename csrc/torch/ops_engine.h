// What the operators hand to the C interface of the engine, on the CPU and on devices.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "c_api/panna_plus.h"
#include "torch/ops_arguments.h"

namespace panna_plus::ops {

/// A ValueError with the engine's reason unless `status` is 0.
void require_success(int status);

/// A definition by value, its parameters read from wherever they are.
class EngineDefinition {
 public:
  /// An error if the engine in this process is not the one that the operators were compiled for.
  explicit EngineDefinition(const Definition &definition);

  const char *kind() const { return kind_.c_str(); }
  std::int32_t n_elements() const { return n_elements_; }
  PannaPlusPrecision precision() const { return precision_; }
  /// Valid as long as this object.
  std::vector<PannaPlusArray> arrays() const;

  bool operator==(const EngineDefinition &) const = default;

 private:
  std::string kind_;
  std::int32_t n_elements_;
  PannaPlusPrecision precision_;
  std::vector<std::int64_t> sizes_;  // of the parameters
  std::vector<double> values_;       // of all of them, in order
};

Pairs contiguous(const Pairs &pairs);

/// `pairs` must be contiguous and outlive the view.
PannaPlusPairs view_of(const Pairs &pairs);

/// The number of CUDA devices that the engine can use, and why there are none.
std::tuple<std::int64_t, std::string> cuda_devices();

}  // namespace panna_plus::ops
