// How one triplet enters the angular functions G[a, b] = sum over triplets of weight * shell_a(x) * window_b(c):
//   mbp:  x = (r_j + r_k)/2,              weight = 2 f(r_j) f(r_k)
//   bp:   x = r_j^2 + r_k^2 + r_jk^2,     weight = 2 f(r_j) f(r_k) f(r_jk)
// values, derivatives with respect to r_j, r_k and c, and changes along given r_j', r_k', c'.
#pragma once

#include "math/cutoff.h"
#include "math/triplet.h"

namespace panna_plus::math {

/// One of the two neighbours: its distance and cutoff function.
template <class V>
struct TripletEnd {
  V r;
  ValueSlope<V> cut;
};

template <class V>
struct ShellPoint {
  V x, weight;
};

/// Sums over the functions of one triplet of dE/dG times: shell window, shell window', shell' window.
template <class V>
struct GridSums {
  V value, by_cosine, by_x;
};

/// r_j^2 + r_k^2 - 2 r_j r_k c, kept away from 0 where its root has no slope.
template <class V>
PANNA_HD V squared_third_side(V r_j, V r_k, V c) {
  return larger(r_j * r_j + r_k * r_k - V(2) * r_j * r_k * c, V(1e-12));
}

template <bool is_bp, class V>
PANNA_HD ShellPoint<V> shell_point(const TripletEnd<V> &j, const TripletEnd<V> &k, V c, V cutoff) {
  const V cuts = V(2) * j.cut.value * k.cut.value;
  if constexpr (is_bp) {
    const V squared = squared_third_side(j.r, k.r, c);
    return {j.r * j.r + k.r * k.r + squared, cuts * cosine_cutoff(sqrt(squared), cutoff).value};
  } else {
    return {V(0.5) * (j.r + k.r), cuts};
  }
}

template <bool is_bp, class V>
PANNA_HD TripletSlopes<V> triplet_slopes(const TripletEnd<V> &j, const TripletEnd<V> &k, V c, V cutoff,
                                         const GridSums<V> &sums) {
  const V two(2), cuts = two * j.cut.value * k.cut.value, value = two * sums.value;
  const V by_cosine = cuts * sums.by_cosine, by_x = cuts * sums.by_x;
  const V by_j = value * k.cut.value * j.cut.slope, by_k = value * j.cut.value * k.cut.slope;
  if constexpr (is_bp) {
    const V side = sqrt(squared_third_side(j.r, k.r, c));
    const ValueSlope<V> cut = cosine_cutoff(side, cutoff);
    const V by_sum = by_x * cut.value;                                                         // d/d(sum of squares)
    const V by_side = by_sum + V(0.5) * value * j.cut.value * k.cut.value * cut.slope / side;  // d/d(r_jk^2)
    return {two * (by_sum * j.r + by_side * (j.r - k.r * c)) + by_j * cut.value,
            two * (by_sum * k.r + by_side * (k.r - j.r * c)) + by_k * cut.value,
            by_cosine * cut.value - two * j.r * k.r * by_side};
  } else {
    return {V(0.5) * by_x + by_j, V(0.5) * by_x + by_k, by_cosine};
  }
}

/// The change of the shell point along the change (r_j', r_k', c') of the triplet.
template <bool is_bp, class V>
PANNA_HD ShellPoint<V> shell_point_change(const TripletEnd<V> &j, const TripletEnd<V> &k, V c, V cutoff,
                                          const TripletSlopes<V> &change) {
  const V two(2), cuts = two * j.cut.value * k.cut.value;
  const V by_ends =
      two * (j.cut.slope * change.r_j * k.cut.value + j.cut.value * k.cut.slope * change.r_k);
  if constexpr (is_bp) {
    const V side = sqrt(squared_third_side(j.r, k.r, c));
    const ValueSlope<V> cut = cosine_cutoff(side, cutoff);
    const V squared_side = two * (change.r_j * (j.r - k.r * c) + change.r_k * (k.r - j.r * c) -
                                  j.r * k.r * change.cosine);
    return {two * (j.r * change.r_j + k.r * change.r_k) + squared_side,
            by_ends * cut.value + cuts * cut.slope * V(0.5) * squared_side / side};
  } else {
    return {V(0.5) * (change.r_j + change.r_k), by_ends};
  }
}

/// (r_j', r_k', c') of the triplet with edge vectors r_j u and r_k v along the changes t_j and t_k of these vectors.
template <class V>
PANNA_HD TripletSlopes<V> triplet_change(Vector3<V> u, Vector3<V> v, V inverse_r_j, V inverse_r_k, V cosine,
                                         Vector3<V> t_j, Vector3<V> t_k) {
  const V r_j = dot(u, t_j), r_k = dot(v, t_k);
  return {r_j, r_k, (dot(v, t_j) - cosine * r_j) * inverse_r_j + (dot(u, t_k) - cosine * r_k) * inverse_r_k};
}

}  // namespace panna_plus::math
