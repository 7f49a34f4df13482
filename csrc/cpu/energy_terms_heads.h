// The heads of charges and ratios for a block of atoms, forward (lanes are hidden units) and back (features).
#pragma once

#include "cpu/energy_terms_kernels.h"
#include "cpu/simd/elementary.h"
#include "math/activation.h"

namespace panna_plus::PANNA_ISA {

/// out[atom] = start + sum over k of factor(atom, k) row k of a matrix (n, stride), one pack wide.
template <class T, class Factor>
PANNA_HD void combine_rows(const T *matrix, int n, int stride, Factor factor, Pack<T> (&out)[head_block]) {
  for (int k = 0; k < n; ++k) {
    const Pack<T> row = Pack<T>::load(matrix + std::ptrdiff_t(k) * stride);
#pragma GCC unroll 8
    for (int atom = 0; atom < head_block; ++atom) out[atom] += Pack<T>(factor(atom, k)) * row;
  }
}

template <class T>
void heads(const HeadsView<T> &view, const HeadsBlock<T> &block) {
  using V = Pack<T>;
  for (int atom = 0; atom < 2 * head_block; ++atom) block.values[atom] = T(0);
  for (int h = 0; h < view.n_hidden; h += V::width) {
    V sums[head_block];
    for (V &sum : sums) sum = V::load(view.bias + h);
    combine_rows(
        view.forward + h, view.n_features, view.n_hidden, [&](int atom, int k) { return block.features[atom][k]; },
        sums);
    const int which = h >= view.n_charge_hidden;
    for (int atom = 0; atom < head_block; ++atom) {
      const math::ValueSlope<V> hidden = math::activate(math::Activation::silu, sums[atom]);
      const V outer = V::load(view.outer + std::ptrdiff_t(block.species[atom]) * view.n_hidden + h);
      (outer * hidden.slope).store(block.slopes + std::ptrdiff_t(atom) * view.n_hidden + h);
      block.values[2 * atom + which] += sum_across(outer * hidden.value);
    }
  }
}

template <class T>
void heads_back(const HeadsView<T> &view, const T *by_hidden, T *gradients) {
  using V = Pack<T>;
  for (int f = 0; f < view.features_padded; f += V::width) {
    V sums[head_block] = {V(0), V(0), V(0), V(0)};
    combine_rows(
        view.backward + f, view.n_hidden, view.features_padded,
        [&](int atom, int h) { return by_hidden[std::ptrdiff_t(atom) * view.n_hidden + h]; }, sums);
    for (int atom = 0; atom < head_block; ++atom) {
      sums[atom].store(gradients + std::ptrdiff_t(atom) * view.features_padded + f);
    }
  }
}

}  // namespace panna_plus::PANNA_ISA
