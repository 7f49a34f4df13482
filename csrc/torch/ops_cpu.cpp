// The operators on the CPU: the engine's descriptor through the C interface, threads over centers.
#include <memory>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "torch/ops_engine.h"
#include "torch/ops_kernels.h"

namespace panna_plus::ops {
namespace {

/// Centers that one thread takes at least: some 50 microseconds of work.
constexpr std::int64_t grain = 16;

struct Close {
  void operator()(PannaPlusDescriptor *descriptor) const { panna_plus_descriptor_close(descriptor); }
};
using Descriptor = std::unique_ptr<PannaPlusDescriptor, Close>;

Descriptor open_descriptor(const EngineDefinition &definition) {
  const std::vector<PannaPlusArray> arrays = definition.arrays();
  PannaPlusDescriptor *descriptor = nullptr;
  require_success(panna_plus_descriptor_open(definition.kind(), definition.n_elements(), arrays.data(),
                                             static_cast<std::int32_t>(arrays.size()), definition.precision(), nullptr,
                                             &descriptor));
  return Descriptor(descriptor);
}

class OnCpu {
 public:
  OnCpu(const Pairs &given, const Definition &definition)
      : options_(given.displacements.options()),
        functions_(open_descriptor(EngineDefinition(definition))),
        pairs_(contiguous(given)),
        view_(view_of(pairs_)) {}

  at::Tensor forward() const {
    at::Tensor features = empty_features();
    run(panna_plus_descriptor_forward, features.mutable_data_ptr<double>());
    return features;
  }

  at::Tensor backward(const at::Tensor &g) const {
    const at::Tensor input = g.contiguous();
    at::Tensor gradients = at::empty({view_.n_pairs, 3}, options_);
    run(panna_plus_descriptor_backward, input.const_data_ptr<double>(), gradients.mutable_data_ptr<double>());
    return gradients;
  }

  at::Tensor tangent(const at::Tensor &v) const {
    const at::Tensor input = v.contiguous();
    at::Tensor features = empty_features();
    run(panna_plus_descriptor_tangent, input.const_data_ptr<double>(), features.mutable_data_ptr<double>());
    return features;
  }

 private:
  at::Tensor empty_features() const {
    return at::empty({view_.n_centers, panna_plus_descriptor_n_features(functions_.get())}, options_);
  }

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

  at::TensorOptions options_;
  Descriptor functions_;
  Pairs pairs_;
  PannaPlusPairs view_;
};

}  // namespace

TORCH_LIBRARY_IMPL(panna_plus, CPU, m) {
  m.impl("descriptor", Operators<OnCpu>::descriptor);
  m.impl("descriptor_backward", Operators<OnCpu>::descriptor_backward);
  m.impl("descriptor_tangent", Operators<OnCpu>::descriptor_tangent);
}

}  // namespace panna_plus::ops
