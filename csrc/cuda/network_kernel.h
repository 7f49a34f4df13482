// What is computed of the features of centres: energies and dE/dG by perceptrons, and how far they are from those of
// the training data. One launch for all elements.
#pragma once

#include "cuda/views.h"

#include <cuda_runtime.h>

#include <cstddef>

namespace panna_plus::cuda {

/// Centres that go through a perceptron together, and outputs that one thread sums up side by side.
constexpr int network_centers = 32;
constexpr int network_tile = 4;
// Rows of 32 centres are padded so that columns do not all lie in one bank, in units that vector loads can take.
constexpr int row_length = network_centers + 4;

/// Centres sorted by element, those of each cut into groups of network_centers.
struct CenterGroups {
  int n_elements;
  const std::int64_t *first_center;  // (n_elements + 1)
  const std::int64_t *first_group;   // (n_elements + 1)
  std::int64_t n_groups;
};

template <class T>
struct NetworkInput {
  CenterGroups groups;
  int n_features;
  const T *features;               // (n_centers, n_features)
  const NetworkView<T> *networks;  // (n_elements)
  const LayerView<T> *layers;
};

/// Where results of a perceptron go, multiplied by `share`.
template <class T>
struct NetworkOutput {
  T *gradients;      // (n_centers, n_features) dE/dG; the features themselves may be overwritten
  double *energies;  // (n_centers)
  double share;
  bool adds;         // to what is there, else it is replaced
};

/// What a group needs while it is worked on, in shared memory if that suffices, else in `scratch`.
template <class T>
struct NetworkMemory {
  int widest;    // largest layer of any element, features included
  int n_slopes;  // sum of the widths of the layers, largest of any element
  T *scratch;    // (n_blocks, memory of a group)
  int n_blocks;
};

/// Numbers that one group needs.
template <class T>
std::size_t group_memory(const NetworkMemory<T> &memory) {
  return (2 * std::size_t(memory.widest) + std::size_t(memory.n_slopes)) * row_length;
}

/// Numbers of scratch memory that all groups together need.
template <class T>
std::size_t scratch_memory(const NetworkMemory<T> &memory, std::size_t shared_limit) {
  const std::size_t numbers = group_memory(memory);
  return numbers * sizeof(T) <= shared_limit ? 0 : numbers * std::size_t(memory.n_blocks);
}

/// Energies in double, reference energies included, and dE/dG. Centres whose energy is not finite become errors.
template <class T>
void apply_networks(const NetworkInput<T> &input, const NetworkMemory<T> &memory, std::size_t shared_limit,
                    const NetworkOutput<T> &output, ErrorWord *error, cudaStream_t stream);

/// The squared extrapolation of the features x of an element, see PannaStatistics: weights[k] (component k . x)^2 and
/// weight_beside times what is left of x. `networks` say how x is standardized, `layers` (n_elements) are the
/// components.
template <class T>
struct FormView {
  const T *weights;  // (components)
  T weight_beside;
};

/// values (n_centers) = extrapolation of every centre; forms (n_elements).
template <class T>
void measure_extrapolation(const NetworkInput<T> &input, const FormView<T> *forms, const NetworkMemory<T> &memory,
                           std::size_t shared_limit, double *values, cudaStream_t stream);

}  // namespace panna_plus::cuda
