// The operators on a device: the engine's kernels on the current stream, in memory of torch.
//
// Nothing of CUDA is included or linked: torch knows streams and events of all devices, and the C interface takes the
// handle of a stream.
//
// `descriptor` waits for the device and raises what it found there. `descriptor_backward` and `descriptor_tangent` do
// not: what they found is raised by a later call of any of the operators on the same device, and until then their
// results, which mean nothing, may be in use.
#include <dlfcn.h>

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/library.h>

#include "torch/ops_device_descriptor.h"
#include "torch/ops_kernels.h"

namespace panna_plus::ops {
namespace {

c10::Stream current_stream(const at::Device &device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

/// The handle of the current CUDA stream from torch's interface in C.
[[maybe_unused]] void *cuda_stream(c10::DeviceIndex device) {
  using Function = int(std::int32_t device, void **stream);
  void *const library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  void *const symbol = library ? dlsym(library, "aoti_torch_get_current_cuda_stream") : nullptr;
  void *stream = nullptr;
  TORCH_CHECK(symbol && reinterpret_cast<Function *>(symbol)(device, &stream) == 0,
              "panna_plus: this torch does not tell its CUDA streams: install torch 2.11 or newer");
  return stream;
}

/// What CUDA calls a stream; older torch does not tell through streams in general.
template <class Stream>
void *handle_of(const Stream &stream) {
  if constexpr (requires { stream.native_handle(); }) {
    return stream.native_handle();
  } else {
    return cuda_stream(stream.device_index());
  }
}

class OnDevice {
 public:
  OnDevice(const Pairs &given, const Definition &definition)
      : device_(given.displacements.device()),
        guard_(device_),
        stream_(current_stream(device_)),
        options_(given.displacements.options()),
        number_(definition.precision == "mixed" ? at::kFloat : at::kDouble),
        n_features_(definition.n_features().expect_int()),
        functions_(descriptor_on(device_, EngineDefinition(definition))),
        pairs_(contiguous(given)),
        view_(view_of(pairs_)) {
    raise_earlier(device_);
  }

  at::Tensor forward() const {
    const at::Tensor features = numbers(view_.n_centers, n_features_);
    raise_now(functions_, queue(panna_plus_device_descriptor_forward, features.mutable_data_ptr()));
    return features.to(at::kDouble);
  }

  at::Tensor backward(const at::Tensor &g) const {
    return linear(panna_plus_device_descriptor_backward, g, numbers(view_.n_pairs, 3));
  }

  at::Tensor tangent(const at::Tensor &v) const {
    return linear(panna_plus_device_descriptor_tangent, v, numbers(view_.n_centers, n_features_));
  }

 private:
  at::Tensor numbers(std::int64_t rows, std::int64_t columns) const {
    return at::empty({rows, columns}, options_.dtype(number_));
  }

  template <class Function>
  at::Tensor linear(Function function, const at::Tensor &input, const at::Tensor &output) const {
    const at::Tensor given = input.to(number_).contiguous();
    raise_later(functions_, queue(function, given.const_data_ptr(), output.mutable_data_ptr()), stream_);
    return output.to(at::kDouble);
  }

  /// Calls function(descriptor, pairs, call, arrays...) and returns the error word (1) on the device. What is allocated
  /// here may be freed at once: torch hands it out again on the same stream only.
  template <class Function, class... Arrays>
  at::Tensor queue(Function function, Arrays... arrays) const {
    const std::int64_t bytes = panna_plus_device_descriptor_memory(functions_.get(), view_.n_centers, view_.n_pairs);
    const at::Tensor memory = at::empty({bytes}, options_.dtype(at::kByte));
    const at::Tensor error = at::empty({1}, options_.dtype(at::kLong));
    const PannaPlusDeviceCall call{handle_of(stream_), memory.mutable_data_ptr(),
                                   static_cast<std::uint64_t *>(error.mutable_data_ptr())};
    require_success(function(functions_.get(), &view_, &call, arrays...));
    return error;
  }

  at::Device device_;
  c10::DeviceGuard guard_;
  c10::Stream stream_;
  at::TensorOptions options_;
  at::ScalarType number_;
  std::int64_t n_features_;
  DeviceDescriptor functions_;
  Pairs pairs_;
  PannaPlusPairs view_;
};

}  // namespace

TORCH_LIBRARY_IMPL(panna_plus, CUDA, m) {
  m.impl("descriptor", Operators<OnDevice>::descriptor);
  m.impl("descriptor_backward", Operators<OnDevice>::descriptor_backward);
  m.impl("descriptor_tangent", Operators<OnDevice>::descriptor_tangent);
}

}  // namespace panna_plus::ops
