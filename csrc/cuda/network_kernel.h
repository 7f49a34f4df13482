// The perceptrons of all elements: energies of the centres and dE/dG, one launch.
#pragma once

#include "cuda/views.h"

#include <cuda_runtime.h>

#include <cstddef>

namespace panna_plus::cuda {

/// Centres that go through a perceptron together, and outputs that one thread sums up side by side.
constexpr int network_centers = 32;
constexpr int network_tile = 4;

/// Centres sorted by element, those of each cut into groups of network_centers.
template <class T>
struct NetworkInput {
  int n_elements;
  const std::int64_t *first_center;  // (n_elements + 1)
  const std::int64_t *first_group;   // (n_elements + 1)
  std::int64_t n_groups;
  int n_features;
  const NetworkView<T> *networks;  // (n_elements)
  const LayerView<T> *layers;
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
std::size_t group_memory(const NetworkMemory<T> &memory);

/// Replaces the features (n_centers, n_features) by dE/dG; energies (n_centers) in double, reference energies included.
/// Centres whose energy is not finite become errors.
template <class T>
void apply_networks(const NetworkInput<T> &input, const NetworkMemory<T> &memory, std::size_t shared_limit, T *features,
                    double *energies, ErrorWord *error, cudaStream_t stream);

}  // namespace panna_plus::cuda
