// The arguments that the three operators share, and their checks. Documented at the schemas in ops.cpp.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/util/string_view.h>

namespace panna_plus::ops {

/// Displacements to neighbors, listed center by center.
struct Pairs {
  at::Tensor displacements;     // (E, 3) float64
  at::Tensor row_start;         // (N + 1) int64
  at::Tensor neighbor_species;  // (E) int32 or int64

  c10::SymInt n_centers() const { return row_start.sym_size(0) - 1; }
  c10::SymInt n_pairs() const { return displacements.sym_size(0); }
};

/// What model files call the parameters of a kind, in the order of the operators.
at::ArrayRef<const char *> parameter_names(c10::string_view kind);

/// A descriptor: what stays the same from call to call.
struct Definition {
  at::TensorList parameters;  // in the order of parameter_names()
  c10::string_view kind;
  std::int64_t n_elements;
  c10::string_view precision;

  /// F, by the numbers of parameters.
  c10::SymInt n_features() const;
  /// What messages call a parameter.
  std::string described(std::size_t parameter) const;
};

/// A ValueError or TypeError that names the argument, what was expected and what was found, unless types, devices and
/// shapes are those of the schema.
void check_arguments(const Pairs &pairs, const Definition &definition);
/// The same for the first argument of descriptor_backward and descriptor_tangent, of shape (rows, columns).
void check_input(const char *name, const at::Tensor &input, const c10::SymInt &rows, const c10::SymInt &columns,
                 const Pairs &pairs);

}  // namespace panna_plus::ops
