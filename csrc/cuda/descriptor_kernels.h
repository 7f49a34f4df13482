// The launches of the descriptor: features of sorted slots, their gradients, their change along given tangents.
#pragma once

#include "cuda/views.h"

#include <cuda_runtime.h>

namespace panna_plus::cuda {

/// features (n_centers, n_features), the radial part: sums over neighbours.
template <class T>
void describe_radial(const SlotView<T> &slots, const DescriptorView<T> &d, T *features, cudaStream_t stream);

/// The functions of one tile of the angular part. is_bp chooses the functions of the triplets.
template <class T, int NA, int NB>
void describe_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                      const AngularTile<T, NA, NB> &tile, T *features, cudaStream_t stream);

/// The same with the change of the features along tangents (entries, 3) of the displacements.
template <class T>
void tangent_radial(const SlotView<T> &slots, const DescriptorView<T> &d, const T *tangents, T *features,
                    cudaStream_t stream);
template <class T, int NA, int NB>
void tangent_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                     const AngularTile<T, NA, NB> &tile, const T *tangents, T *features, cudaStream_t stream);

/// Contracts g = dE/dG (n_centers, n_features) with the derivatives of one tile's functions; the result replaces
/// slot_gradients (slots, 3) or, if it `adds`, is added to them.
template <class T, int NA, int NB>
void contract_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                      const AngularTile<T, NA, NB> &tile, const T *g, bool adds, T *slot_gradients,
                      cudaStream_t stream);

constexpr int n_center_sums = 9;

/// Adds the radial part to slot_gradients (null: there is no angular part) and writes the gradients of the entries,
/// gradients (entries, 3). sums (n_centers, 9), if not null, receives in double the sum of the gradients and the
/// virial -r (x) gradient, symmetrised, xx yy zz xy xz yz.
template <class T>
void contract_radial(const SlotView<T> &slots, const DescriptorView<T> &d, const T *g, const T *slot_gradients,
                     T *gradients, double *sums, cudaStream_t stream);

}  // namespace panna_plus::cuda
