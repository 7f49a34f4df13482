// The part of the C interface that serves descriptors without a model.
#include <memory>
#include <string>
#include <vector>

#include "c_api/guarded.h"
#include "c_api/panna_plus.h"
#include "c_api/precision.h"
#include "cpu/panna_descriptor.h"
#include "system/failure.h"

struct PannaPlusDescriptor {
  std::unique_ptr<panna_plus::PairDescriptor> functions;
};

namespace {

using panna_plus::guarded;
using panna_plus::require;

panna_plus::NamedArrays named_arrays(const PannaPlusArray *arrays, int32_t n) {
  require(n == 0 || (n > 0 && arrays),
          "panna_plus_descriptor_open: arrays must not be NULL, nor their number negative");
  panna_plus::NamedArrays named;
  for (int32_t k = 0; k < n; ++k) {
    const PannaPlusArray &array = arrays[k];
    require(array.name && array.n >= 0 && (array.values || array.n == 0),
            "panna_plus_descriptor_open: array " + std::to_string(k) + " must have a name and values");
    named.add(array.name, std::vector<double>(array.values, array.values + array.n));
  }
  return named;
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
template <class Body>
int on_pairs(const std::string &function, const PannaPlusDescriptor *descriptor, const PannaPlusPairs *pairs,
             const double *of_centers, const double *of_pairs, Body body) {
  return guarded([&] {
    require(descriptor && pairs, function + ": descriptor and pairs must not be NULL");
    require((pairs->n_centers == 0 || of_centers) && (pairs->n_pairs == 0 || of_pairs),
            function + ": arrays must not be NULL");
    body(*descriptor->functions, view_of(*pairs, function));
  });
}

}  // namespace

extern "C" {

int panna_plus_descriptor_open(const char *kind, int32_t n_elements, const PannaPlusArray *arrays, int32_t n_arrays,
                               PannaPlusPrecision precision, const char *kernels, PannaPlusDescriptor **descriptor) {
  return guarded([&] {
    require(descriptor != nullptr, "panna_plus_descriptor_open: descriptor must not be NULL");
    *descriptor = nullptr;
    require(kind != nullptr, "panna_plus_descriptor_open: kind must not be NULL");
    const panna_plus::PannaParameters parameters =
        panna_plus::read_panna_descriptor(named_arrays(arrays, n_arrays), kind, n_elements);
    *descriptor = new PannaPlusDescriptor{panna_plus::build_panna_descriptor(
        parameters, panna_plus::precision_of(precision, "panna_plus_descriptor_open"), kernels ? kernels : "")};
  });
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

}  // extern "C"
