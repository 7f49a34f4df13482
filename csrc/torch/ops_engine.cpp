#include "torch/ops_engine.h"

#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

namespace panna_plus::ops {

void require_success(int status) { TORCH_CHECK_VALUE(status == 0, "panna_plus: ", panna_plus_last_error()); }

EngineDefinition::EngineDefinition(const Definition &definition)
    : kind_(definition.kind),
      n_elements_(static_cast<std::int32_t>(definition.n_elements)),
      precision_(definition.precision == "mixed" ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE) {
  TORCH_CHECK(panna_plus_abi_version() == PANNA_PLUS_ABI_VERSION,
              "panna_plus: the loaded libpanna_plus.so has interface ", panna_plus_abi_version(),
              ", these operators were compiled for ", PANNA_PLUS_ABI_VERSION, ": install panna_plus again");
  for (const at::Tensor &parameter : definition.parameters) sizes_.push_back(parameter.numel());
  // One transfer for all where they are on a device.
  const at::Tensor all = at::cat(definition.parameters).to(at::kCPU);
  values_.assign(all.const_data_ptr<double>(), all.const_data_ptr<double>() + all.numel());
}

std::vector<PannaPlusArray> EngineDefinition::arrays() const {
  const at::ArrayRef<const char *> names = parameter_names(kind_);
  std::vector<PannaPlusArray> arrays;
  const double *values = values_.data();
  for (std::size_t k = 0; k < sizes_.size(); ++k) {
    arrays.push_back({names[k], sizes_[k], values});
    values += sizes_[k];
  }
  return arrays;
}

Pairs contiguous(const Pairs &pairs) {
  return {pairs.displacements.contiguous(), pairs.row_start.contiguous(), pairs.neighbor_species.contiguous()};
}

PannaPlusPairs view_of(const Pairs &pairs) {
  PannaPlusPairs view{};
  view.n_centers = pairs.row_start.size(0) - 1;
  view.n_pairs = pairs.displacements.size(0);
  view.displacements = pairs.displacements.const_data_ptr<double>();
  view.row_start = pairs.row_start.const_data_ptr<std::int64_t>();
  if (pairs.neighbor_species.scalar_type() == at::kInt) {
    view.species = pairs.neighbor_species.const_data_ptr<std::int32_t>();
  } else {
    view.long_species = pairs.neighbor_species.const_data_ptr<std::int64_t>();
  }
  return view;
}

std::tuple<std::int64_t, std::string> cuda_devices() {
  const std::int64_t n = panna_plus_cuda_devices();
  return {n, n > 0 ? "" : panna_plus_last_error()};
}

}  // namespace panna_plus::ops
