// The part of the C interface that serves descriptors without a model, on the CPU and on CUDA devices.
#include <memory>
#include <string>
#include <vector>

#include "c_api/cuda_library.h"
#include "c_api/guarded.h"
#include "c_api/panna_plus.h"
#include "c_api/precision.h"
#include "cpu/panna_descriptor.h"
#include "system/failure.h"

struct PannaPlusDescriptor {
  std::unique_ptr<panna_plus::PairDescriptor> functions;
};

struct PannaPlusDeviceDescriptor {
  std::unique_ptr<panna_plus::DeviceDescriptor> functions;
};

namespace {

using panna_plus::guarded;
using panna_plus::require;

panna_plus::NamedArrays named_arrays(const PannaPlusArray *arrays, int32_t n, const std::string &function) {
  require(n == 0 || (n > 0 && arrays), function + ": arrays must not be NULL, nor their number negative");
  panna_plus::NamedArrays named;
  for (int32_t k = 0; k < n; ++k) {
    const PannaPlusArray &array = arrays[k];
    require(array.name && array.n >= 0 && (array.values || array.n == 0),
            function + ": array " + std::to_string(k) + " must have a name and values");
    named.add(array.name, std::vector<double>(array.values, array.values + array.n));
  }
  return named;
}

/// Opens a descriptor of either kind: build(parameters, precision) makes its functions.
template <class Descriptor, class Build>
int open_descriptor(const std::string &function, const char *kind, int32_t n_elements, const PannaPlusArray *arrays,
                    int32_t n_arrays, PannaPlusPrecision precision, Descriptor **descriptor, Build build) {
  return guarded([&] {
    require(descriptor != nullptr, function + ": descriptor must not be NULL");
    *descriptor = nullptr;
    require(kind != nullptr, function + ": kind must not be NULL");
    const panna_plus::PannaParameters parameters =
        panna_plus::read_panna_descriptor(named_arrays(arrays, n_arrays, function), kind, n_elements);
    *descriptor = new Descriptor{build(parameters, panna_plus::precision_of(precision, function))};
  });
}

panna_plus::PairLists view_of(const PannaPlusPairs &pairs, const std::string &function) {
  require(pairs.n_centers >= 0 && pairs.n_pairs >= 0, function + ": counts must not be negative");
  require(pairs.row_start != nullptr, function + ": row_start must not be NULL");
  require(pairs.n_pairs == 0 || pairs.displacements, function + ": displacements must not be NULL");
  require(pairs.n_pairs == 0 || (pairs.species == nullptr) != (pairs.long_species == nullptr),
          function + ": one of species and long_species must not be NULL, and the other one must be");
  return {pairs.n_centers, pairs.n_pairs, pairs.displacements, pairs.row_start, pairs.species, pairs.long_species};
}

/// Runs one of the three functions after a check of its arguments, of which one has rows for centers, one for pairs.
template <class Descriptor, class Body>
int on_pairs(const std::string &function, const Descriptor *descriptor, const PannaPlusPairs *pairs,
             const void *of_centers, const void *of_pairs, Body body) {
  return guarded([&] {
    require(descriptor && pairs, function + ": descriptor and pairs must not be NULL");
    require((pairs->n_centers == 0 || of_centers) && (pairs->n_pairs == 0 || of_pairs),
            function + ": arrays must not be NULL");
    body(*descriptor->functions, view_of(*pairs, function));
  });
}

/// The same on a device: body(functions, pairs, call) takes both in the form of the engine.
template <class Body>
int on_device(const std::string &function, const PannaPlusDeviceDescriptor *descriptor, const PannaPlusPairs *pairs,
              const PannaPlusDeviceCall *call, const void *of_centers, const void *of_pairs, Body body) {
  const auto with_call = [&](const panna_plus::DeviceDescriptor &functions, const panna_plus::PairLists &lists) {
    require(call && call->memory && call->error, function + ": call, its memory and its error must not be NULL");
    const panna_plus::DevicePairs view{lists.n_centers, lists.n_pairs, lists.displacements,
                                       lists.row_start, lists.species, lists.long_species};
    static_assert(sizeof(unsigned long long) == sizeof(std::uint64_t));
    auto *const error = reinterpret_cast<unsigned long long *>(call->error);
    body(functions, view, panna_plus::DeviceCall{call->memory, error, call->stream});
  };
  return on_pairs(function, descriptor, pairs, of_centers, of_pairs, with_call);
}

}  // namespace

extern "C" {

int panna_plus_descriptor_open(const char *kind, int32_t n_elements, const PannaPlusArray *arrays, int32_t n_arrays,
                               PannaPlusPrecision precision, const char *kernels, PannaPlusDescriptor **descriptor) {
  const auto build = [&](const auto &parameters, panna_plus::Precision used) {
    return panna_plus::build_panna_descriptor(parameters, used, kernels ? kernels : "");
  };
  return open_descriptor("panna_plus_descriptor_open", kind, n_elements, arrays, n_arrays, precision, descriptor,
                         build);
}

int64_t panna_plus_descriptor_n_features(const PannaPlusDescriptor *descriptor) {
  return descriptor ? descriptor->functions->n_features() : 0;
}

int panna_plus_descriptor_forward(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                  int64_t first_center, int64_t last_center, double *features) {
  const auto body = [&](const auto &functions, const auto &lists) {
    functions.forward(lists, {first_center, last_center}, features);
  };
  return on_pairs("panna_plus_descriptor_forward", descriptor, pairs, features, pairs ? pairs->displacements : nullptr,
                  body);
}

int panna_plus_descriptor_backward(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                   int64_t first_center, int64_t last_center, const double *g, double *gradients) {
  const auto body = [&](const auto &functions, const auto &lists) {
    functions.backward(lists, {first_center, last_center}, g, gradients);
  };
  return on_pairs("panna_plus_descriptor_backward", descriptor, pairs, g, gradients, body);
}

int panna_plus_descriptor_tangent(const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
                                  int64_t first_center, int64_t last_center, const double *v, double *features) {
  const auto body = [&](const auto &functions, const auto &lists) {
    functions.tangent(lists, {first_center, last_center}, v, features);
  };
  return on_pairs("panna_plus_descriptor_tangent", descriptor, pairs, features, v, body);
}

void panna_plus_descriptor_close(PannaPlusDescriptor *descriptor) { delete descriptor; }

int panna_plus_device_descriptor_open(const char *kind, int32_t n_elements, const PannaPlusArray *arrays,
                                      int32_t n_arrays, PannaPlusPrecision precision, int32_t device,
                                      PannaPlusDeviceDescriptor **descriptor) {
  const auto build = [&](const auto &parameters, panna_plus::Precision used) {
    return panna_plus::build_descriptor_on_cuda(parameters, used, device, panna_plus::cuda_library_path());
  };
  return open_descriptor("panna_plus_device_descriptor_open", kind, n_elements, arrays, n_arrays, precision, descriptor,
                         build);
}

int64_t panna_plus_device_descriptor_memory(const PannaPlusDeviceDescriptor *descriptor, int64_t n_centers,
                                            int64_t n_pairs) {
  return descriptor ? static_cast<int64_t>(descriptor->functions->memory(n_centers, n_pairs)) : 0;
}

int panna_plus_device_descriptor_forward(const PannaPlusDeviceDescriptor *descriptor, const PannaPlusPairs *pairs,
                                         const PannaPlusDeviceCall *call, void *features) {
  const auto body = [&](const auto &functions, const auto &view, const auto &used) {
    functions.forward(view, used, features);
  };
  return on_device("panna_plus_device_descriptor_forward", descriptor, pairs, call, features,
                   pairs ? pairs->displacements : nullptr, body);
}

int panna_plus_device_descriptor_backward(const PannaPlusDeviceDescriptor *descriptor, const PannaPlusPairs *pairs,
                                          const PannaPlusDeviceCall *call, const void *g, void *gradients) {
  const auto body = [&](const auto &functions, const auto &view, const auto &used) {
    functions.backward(view, used, g, gradients);
  };
  return on_device("panna_plus_device_descriptor_backward", descriptor, pairs, call, g, gradients, body);
}

int panna_plus_device_descriptor_tangent(const PannaPlusDeviceDescriptor *descriptor, const PannaPlusPairs *pairs,
                                         const PannaPlusDeviceCall *call, const void *v, void *features) {
  const auto body = [&](const auto &functions, const auto &view, const auto &used) {
    functions.tangent(view, used, v, features);
  };
  return on_device("panna_plus_device_descriptor_tangent", descriptor, pairs, call, features, v, body);
}

int panna_plus_device_descriptor_explain(const PannaPlusDeviceDescriptor *descriptor, uint64_t error) {
  return guarded([&] {
    require(descriptor != nullptr, "panna_plus_device_descriptor_explain: descriptor must not be NULL");
    descriptor->functions->explain(error);
  });
}

void panna_plus_device_descriptor_close(PannaPlusDeviceDescriptor *descriptor) { delete descriptor; }

}  // extern "C"
