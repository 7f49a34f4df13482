// The operators as the dispatcher calls them, for anything that can evaluate them.
#pragma once

#include "torch/ops_arguments.h"

namespace panna_plus::ops {

/// A call of `Call` is made from checked pairs and a checked definition, evaluates one operator and is gone: forward()
/// gives (N, F), backward(g) (E, 3), tangent(v) (N, F).
template <class Call>
struct Operators {
  static at::Tensor descriptor(const at::Tensor &displacements, const at::Tensor &row_start,
                               const at::Tensor &neighbor_species, at::TensorList parameters, c10::string_view kind,
                               std::int64_t n_elements, c10::string_view precision) {
    const Definition definition{parameters, kind, n_elements, precision};
    const Pairs pairs{displacements, row_start, neighbor_species};
    check_arguments(pairs, definition);
    return Call(pairs, definition).forward();
  }

  static at::Tensor descriptor_backward(const at::Tensor &g, const at::Tensor &displacements,
                                        const at::Tensor &row_start, const at::Tensor &neighbor_species,
                                        at::TensorList parameters, c10::string_view kind, std::int64_t n_elements,
                                        c10::string_view precision) {
    const Definition definition{parameters, kind, n_elements, precision};
    const Pairs pairs{displacements, row_start, neighbor_species};
    check_arguments(pairs, definition);
    check_input("g", g, pairs.n_centers(), definition.n_features(), pairs);
    return Call(pairs, definition).backward(g);
  }

  static at::Tensor descriptor_tangent(const at::Tensor &v, const at::Tensor &displacements,
                                       const at::Tensor &row_start, const at::Tensor &neighbor_species,
                                       at::TensorList parameters, c10::string_view kind, std::int64_t n_elements,
                                       c10::string_view precision) {
    const Definition definition{parameters, kind, n_elements, precision};
    const Pairs pairs{displacements, row_start, neighbor_species};
    check_arguments(pairs, definition);
    check_input("v", v, pairs.n_pairs(), 3, pairs);
    return Call(pairs, definition).tangent(v);
  }
};

}  // namespace panna_plus::ops
