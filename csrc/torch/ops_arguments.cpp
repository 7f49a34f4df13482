#include "torch/ops_arguments.h"

#include <c10/util/Exception.h>

namespace panna_plus::ops {
namespace {

constexpr const char *mbp_names[] = {
    "descriptor/radial/cutoff",  "descriptor/radial/eta",   "descriptor/radial/centers",
    "descriptor/angular/cutoff", "descriptor/angular/eta",  "descriptor/angular/centers",
    "descriptor/angular/theta",  "descriptor/angular/zeta", "descriptor/angular/epsilon"};
constexpr const char *bp_names[] = {"descriptor/radial/cutoff",  "descriptor/radial/eta",  "descriptor/radial/centers",
                                    "descriptor/angular/cutoff", "descriptor/angular/eta", "descriptor/angular/zeta",
                                    "descriptor/angular/lambda"};
constexpr std::size_t radial_eta = 1, angular_eta = 4, angular_theta = 6;

void check_tensor(const std::string &name, const at::Tensor &tensor, at::ScalarType type, std::int64_t n_dimensions,
                  const at::Device &device, const char *whose = "that of 'displacements'") {
  TORCH_CHECK_TYPE(tensor.scalar_type() == type, "panna_plus: argument '", name, "': expected dtype ", type, ", found ",
                   tensor.scalar_type());
  TORCH_CHECK_TYPE(tensor.layout() == at::kStrided, "panna_plus: argument '", name,
                   "': expected a dense tensor, found layout ", tensor.layout());
  TORCH_CHECK_VALUE(tensor.device() == device, "panna_plus: argument '", name, "': expected device ", device,
                    " (", whose, "), found ", tensor.device());
  TORCH_CHECK_VALUE(tensor.dim() == n_dimensions, "panna_plus: argument '", name, "': expected ", n_dimensions,
                    " dimensions, found ", tensor.dim());
}

void check_size(const std::string &name, const at::Tensor &tensor, std::int64_t dimension, const c10::SymInt &expected,
                const char *why) {
  TORCH_SYM_CHECK(tensor.sym_size(dimension).sym_eq(expected), "panna_plus: argument '", name, "': expected size ",
                  expected, " in dimension ", dimension, " (", why, "), found ", tensor.sym_size(dimension));
}

void check_pairs(const Pairs &pairs) {
  const at::Device device = pairs.displacements.device();
  check_tensor("displacements", pairs.displacements, at::kDouble, 2, device);
  check_size("displacements", pairs.displacements, 1, 3, "x, y, z");
  check_tensor("row_start", pairs.row_start, at::kLong, 1, device);
  TORCH_SYM_CHECK(pairs.row_start.sym_size(0).sym_ge(1),
                  "panna_plus: argument 'row_start': expected one entry per center and the end, found none");
  const at::ScalarType type = pairs.neighbor_species.scalar_type();
  TORCH_CHECK_TYPE(type == at::kInt || type == at::kLong,
                   "panna_plus: argument 'neighbor_species': expected dtype Int or Long, found ", type);
  check_tensor("neighbor_species", pairs.neighbor_species, type, 1, device);
  check_size("neighbor_species", pairs.neighbor_species, 0, pairs.n_pairs(), "one per displacement");
}

void check_definition(const Definition &definition, const at::Device &device) {
  const auto kind = definition.kind, precision = definition.precision;
  TORCH_CHECK_VALUE(kind == "mbp" || kind == "bp", "panna_plus: argument 'kind': expected 'mbp' or 'bp', found '", kind,
                    "'");
  TORCH_CHECK_VALUE(precision == "double" || precision == "mixed",
                    "panna_plus: argument 'precision': expected 'double' or 'mixed', found '", precision, "'");
  TORCH_CHECK_VALUE(definition.n_elements >= 1 && definition.n_elements <= 1000,
                    "panna_plus: argument 'n_elements': expected 1 to 1000, found ", definition.n_elements);
  const auto names = parameter_names(kind);
  TORCH_CHECK_VALUE(definition.parameters.size() == names.size(), "panna_plus: argument 'parameters': expected ",
                    names.size(), " tensors for kind '", kind, "', found ", definition.parameters.size());
  const at::Device first = definition.parameters[0].device();
  for (std::size_t k = 0; k < names.size(); ++k) {
    check_tensor(definition.described(k), definition.parameters[k], at::kDouble, 1, first.is_cpu() ? first : device,
                 "all parameters on that of 'displacements', or all on the CPU");
  }
}

}  // namespace

at::ArrayRef<const char *> parameter_names(c10::string_view kind) {
  if (kind == "mbp") return mbp_names;
  return bp_names;
}

c10::SymInt Definition::n_features() const {
  c10::SymInt n_angular = parameters[angular_eta].sym_size(0);
  if (kind == "mbp") n_angular = n_angular * parameters[angular_theta].sym_size(0);
  const std::int64_t n_blocks = n_elements * (n_elements + 1) / 2;
  return parameters[radial_eta].sym_size(0) * n_elements + n_angular * n_blocks;
}

std::string Definition::described(std::size_t parameter) const {
  return "parameters[" + std::to_string(parameter) + "] (" + parameter_names(kind)[parameter] + ")";
}

void check_arguments(const Pairs &pairs, const Definition &definition) {
  check_pairs(pairs);
  check_definition(definition, pairs.displacements.device());
}

void check_input(const char *name, const at::Tensor &input, const c10::SymInt &rows, const c10::SymInt &columns,
                 const Pairs &pairs) {
  check_tensor(name, input, at::kDouble, 2, pairs.displacements.device());
  check_size(name, input, 0, rows, "rows");
  check_size(name, input, 1, columns, "columns");
}

}  // namespace panna_plus::ops
