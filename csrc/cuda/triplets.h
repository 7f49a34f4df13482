// The triplets of one centre, species pair by species pair, and what all angular kernels do with one of them.
#pragma once

#include "cuda/views.h"
#include "cuda/warp.h"
#include "math/angular_window.h"
#include "math/powers.h"
#include "math/triplet_shell.h"

namespace panna_plus::cuda {

/// The near slots of two species; j runs over the one that has fewer of them.
struct Runs {
  bool same;
  int j_begin, n_j, k_begin, n_k;

  __device__ __forceinline__ int n_triplets() const { return same ? n_j * (n_j - 1) / 2 : n_j * n_k; }
};

__device__ __forceinline__ Runs runs_of(const int *bins, int s, int t) {
  const int n_s = bins[2 * s + 1] - bins[2 * s], n_t = bins[2 * t + 1] - bins[2 * t];
  if (n_s > n_t) return {false, bins[2 * t], n_t, bins[2 * s], n_s};
  return {s == t, bins[2 * s], n_s, bins[2 * t], n_t};
}

/// Calls visit(runs, first feature of the block) for every pair of species, the same in all lanes.
template <class T, class Visit>
__device__ __forceinline__ void for_each_block(const SlotView<T> &slots, const DescriptorView<T> &d, std::int64_t n,
                                               Visit visit) {
  const int *bins = slots.bins + n * (2 * d.n_species + 1);
  int feature = d.n_species * d.n_radial;
  for (int s = 0; s < d.n_species; ++s) {
    for (int t = s; t < d.n_species; ++t, feature += d.n_angular) visit(runs_of(bins, s, t), feature);
  }
}

/// All triplets dealt out to the lanes in turn. Pairs of one species are (j, j + row + 1 modulo n): row by row every
/// unordered pair once, of the last row only half if n is even.
class TripletWalk {
 public:
  __device__ __forceinline__ TripletWalk(const Runs &runs, int lane)
      : runs_(runs), left_(runs.n_triplets() - lane), column_(lane), row_(0) {
    wrap();
  }
  __device__ __forceinline__ bool is_inside() const { return left_ > 0; }
  __device__ __forceinline__ void advance() {
    left_ -= warp_size;
    column_ += warp_size;
    wrap();
  }
  __device__ __forceinline__ int j() const { return runs_.j_begin + column_; }
  __device__ __forceinline__ int k() const {
    if (!runs_.same) return runs_.k_begin + row_;
    const int k = column_ + row_ + 1;
    return runs_.k_begin + (k >= runs_.n_k ? k - runs_.n_k : k);
  }

 private:
  __device__ __forceinline__ void wrap() {
    while (left_ > 0 && column_ >= runs_.n_j) {
      column_ -= runs_.n_j;
      ++row_;
    }
  }

  Runs runs_;
  int left_, column_, row_;
};

/// One neighbour inside the angular cutoff.
template <class T>
struct Neighbor {
  math::Vector3<T> u;
  math::TripletEnd<T> end;
};

/// The slots of one centre.
template <class T>
struct CenterSlots {
  const Four<T> *direction;
  const Two<T> *angular_cut;

  __device__ __forceinline__ CenterSlots(const SlotView<T> &slots, std::int64_t first)
      : direction(slots.direction + first), angular_cut(slots.angular_cut + first) {}

  __device__ __forceinline__ Neighbor<T> operator[](int slot) const {
    const Four<T> u = direction[slot];
    const Two<T> cut = angular_cut[slot];
    return {{u.x, u.y, u.z}, {u.w, {cut.value, cut.slope}}};
  }
};

/// base^exponent for all windows of a tile, the exponents zeta - less.
template <class T, int NA, int NB>
__device__ __forceinline__ void window_powers(const AngularTile<T, NA, NB> &tile, const T (&base)[NB], int less,
                                              T (&powers)[NB]) {
  if (tile.common_whole > 0) {
    math::integer_powers(base, tile.common_whole - less, powers);
  } else {
    PANNA_UNROLL
    for (int b = 0; b < NB; ++b) {
      const T one[1] = {base[b]};
      T power[1];
      math::integer_powers(one, tile.whole[b] - less, power);
      powers[b] = power[0];
    }
  }
  if (!tile.has_fraction) return;
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) {
    // Rounding may leave a base of 0 slightly negative.
    if (tile.fraction[b] > T(0)) powers[b] *= math::power(math::larger(base[b], T(0)), tile.fraction[b]);
  }
}

template <class T, int NA, int NB>
__device__ __forceinline__ math::ValueSlope<T> sine_of(const AngularTile<T, NA, NB> &tile,
                                                       const math::Angle<T> &angle, int b) {
  return math::softened_sine(angle.cosine, angle.squared_sine, tile.softening[b], math::squared_sine_floor(T(0)));
}

/// Calls visit(b, sigma and its slope) for every window; computed once for two that share it.
template <class T, int NA, int NB, class Visit>
__device__ __forceinline__ void for_each_sine(const AngularTile<T, NA, NB> &tile, const math::Angle<T> &angle,
                                              Visit visit) {
  if (tile.is_paired) {
    PANNA_UNROLL
    for (int b = 0; b < NB; b += 2) {
      const math::ValueSlope<T> sine = sine_of(tile, angle, b);
      visit(b, sine);
      visit(b + 1, sine);
    }
  } else {
    PANNA_UNROLL
    for (int b = 0; b < NB; ++b) visit(b, sine_of(tile, angle, b));
  }
}

/// The windows of a tile at one angle.
template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ void window_values(const AngularTile<T, NA, NB> &tile, const math::Angle<T> &angle,
                                              T (&values)[NB]) {
  T base[NB];
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) base[b] = tile.offset[b] + tile.along_cosine[b] * angle.cosine;
  if constexpr (!is_bp) {
    for_each_sine(tile, angle, [&](int b, math::ValueSlope<T> sine) { base[b] += tile.along_sine[b] * sine.value; });
  }
  window_powers(tile, base, 0, values);
}

/// The same with derivatives with respect to the cosine.
template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ void window_functions(const AngularTile<T, NA, NB> &tile, const math::Angle<T> &angle,
                                                 T (&values)[NB], T (&slopes)[NB]) {
  T base[NB];
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) {
    base[b] = tile.offset[b] + tile.along_cosine[b] * angle.cosine;
    slopes[b] = tile.slope_along_cosine[b];
  }
  if constexpr (!is_bp) {
    for_each_sine(tile, angle, [&](int b, math::ValueSlope<T> sine) {
      base[b] += tile.along_sine[b] * sine.value;
      slopes[b] += tile.slope_along_sine[b] * sine.slope;
    });
  }
  window_powers(tile, base, 1, values);
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) {
    slopes[b] *= values[b];
    values[b] *= base[b];
  }
}

/// Adds what the lanes summed up and writes it to the features that the tile stands for.
template <class T, int NA, int NB>
__device__ __forceinline__ void store_block(const AngularTile<T, NA, NB> &tile, T (&totals)[NA * NB], T *block) {
  transposed_sums(totals);
  if (!writes_summed<NA * NB>(lane_index())) return;
  const int first = first_summed<NA * NB>(lane_index());
  for (int k = 0; k < n_summed<NA * NB>(); ++k) {
    for (int f = tile.first[first + k]; f < tile.first[first + k + 1]; ++f) block[tile.functions[f]] = totals[k];
  }
}

}  // namespace panna_plus::cuda
