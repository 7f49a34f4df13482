// The operators on the CPU: the engine's descriptor through the C interface, threads over centers.
#include <memory>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "c_api/panna_plus.h"
#include "torch/ops_arguments.h"

namespace panna_plus::ops {
namespace {

/// Centers that one thread takes at least: some 50 microseconds of work.
constexpr std::int64_t grain = 16;

void require_success(int status) { TORCH_CHECK_VALUE(status == 0, "panna_plus: ", panna_plus_last_error()); }

struct Close {
  void operator()(PannaPlusDescriptor *descriptor) const { panna_plus_descriptor_close(descriptor); }
};
using Descriptor = std::unique_ptr<PannaPlusDescriptor, Close>;

Descriptor open_descriptor(const Definition &definition) {
  TORCH_CHECK(panna_plus_abi_version() == PANNA_PLUS_ABI_VERSION,
              "panna_plus: the loaded libpanna_plus.so has interface ", panna_plus_abi_version(),
              ", these operators were compiled for ", PANNA_PLUS_ABI_VERSION, ": install panna_plus again");
  std::vector<at::Tensor> values;
  std::vector<PannaPlusArray> arrays;
  for (std::size_t k = 0; k < definition.parameters.size(); ++k) {
    values.push_back(definition.parameters[k].contiguous());
    arrays.push_back({definition.names()[k], values.back().numel(), values.back().const_data_ptr<double>()});
  }
  const std::string kind(definition.kind);
  const auto precision = definition.precision == "mixed" ? PANNA_PLUS_MIXED : PANNA_PLUS_DOUBLE;
  PannaPlusDescriptor *descriptor = nullptr;
  require_success(panna_plus_descriptor_open(kind.c_str(), static_cast<std::int32_t>(definition.n_elements),
                                             arrays.data(), static_cast<std::int32_t>(arrays.size()), precision,
                                             nullptr, &descriptor));
  return Descriptor(descriptor);
}

Pairs contiguous(const Pairs &pairs) {
  return {pairs.displacements.contiguous(), pairs.row_start.contiguous(), pairs.neighbor_species.contiguous()};
}

/// `pairs` must be contiguous and outlive the view.
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

/// The arguments of one call, ready for the C interface.
class Call {
 public:
  Call(const Pairs &given, const Definition &definition)
      : options_(given.displacements.options()),
        functions_(open_descriptor(definition)),
        pairs_(contiguous(given)),
        view_(view_of(pairs_)) {}

  at::Tensor empty_features() const {
    return at::empty({view_.n_centers, panna_plus_descriptor_n_features(functions_.get())}, options_);
  }
  at::Tensor empty_gradients() const { return at::empty({view_.n_pairs, 3}, options_); }

  /// Calls function(descriptor, pairs, first center, last center, arrays...) in the threads of torch.
  template <class Function, class... Arrays>
  void run(Function function, Arrays... arrays) const {
    const auto compute = [&](std::int64_t first, std::int64_t last) {
      require_success(function(functions_.get(), &view_, first, last, arrays...));
    };
    // Without centers nothing would be called, and pairs that belong to none not be noticed.
    if (view_.n_centers == 0) return compute(0, 0);
    at::parallel_for(0, view_.n_centers, grain, compute);
  }

 private:
  at::TensorOptions options_;
  Descriptor functions_;
  Pairs pairs_;
  PannaPlusPairs view_;
};

at::Tensor descriptor(const at::Tensor &displacements, const at::Tensor &row_start, const at::Tensor &neighbor_species,
                      at::TensorList parameters, c10::string_view kind, std::int64_t n_elements,
                      c10::string_view precision) {
  const Definition definition{parameters, kind, n_elements, precision};
  const Pairs pairs{displacements, row_start, neighbor_species};
  check_arguments(pairs, definition);
  const Call call(pairs, definition);
  at::Tensor features = call.empty_features();
  call.run(panna_plus_descriptor_forward, features.mutable_data_ptr<double>());
  return features;
}

at::Tensor descriptor_backward(const at::Tensor &g, const at::Tensor &displacements, const at::Tensor &row_start,
                               const at::Tensor &neighbor_species, at::TensorList parameters, c10::string_view kind,
                               std::int64_t n_elements, c10::string_view precision) {
  const Definition definition{parameters, kind, n_elements, precision};
  const Pairs pairs{displacements, row_start, neighbor_species};
  check_arguments(pairs, definition);
  check_input("g", g, pairs.n_centers(), definition.n_features(), pairs);
  const Call call(pairs, definition);
  const at::Tensor input = g.contiguous();
  at::Tensor gradients = call.empty_gradients();
  call.run(panna_plus_descriptor_backward, input.const_data_ptr<double>(), gradients.mutable_data_ptr<double>());
  return gradients;
}

at::Tensor descriptor_tangent(const at::Tensor &v, const at::Tensor &displacements, const at::Tensor &row_start,
                              const at::Tensor &neighbor_species, at::TensorList parameters, c10::string_view kind,
                              std::int64_t n_elements, c10::string_view precision) {
  const Definition definition{parameters, kind, n_elements, precision};
  const Pairs pairs{displacements, row_start, neighbor_species};
  check_arguments(pairs, definition);
  check_input("v", v, pairs.n_pairs(), 3, pairs);
  const Call call(pairs, definition);
  const at::Tensor input = v.contiguous();
  at::Tensor features = call.empty_features();
  call.run(panna_plus_descriptor_tangent, input.const_data_ptr<double>(), features.mutable_data_ptr<double>());
  return features;
}

}  // namespace

TORCH_LIBRARY_IMPL(panna_plus, CPU, m) {
  m.impl("descriptor", descriptor);
  m.impl("descriptor_backward", descriptor_backward);
  m.impl("descriptor_tangent", descriptor_tangent);
}

}  // namespace panna_plus::ops
