// Geometry of one triplet: a centre i and two of its neighbours, j and k.
#pragma once

#include "math/vector3.h"

namespace panna_plus::math {

template <class V>
struct Angle {
  V cosine;
  V squared_sine;
};

/// Angle between two unit vectors. The squared sine comes from the cross product: 1 - c^2 would lose
/// half the digits of a nearly straight angle in float.
template <class V>
PANNA_HD Angle<V> angle_between(Vector3<V> u, Vector3<V> v) {
  const Vector3<V> normal = cross(u, v);
  return {larger(smaller(dot(u, v), V(1)), V(-1)), dot(normal, normal)};
}

/// Derivatives of a function of (r_j, r_k, c).
template <class V>
struct TripletSlopes {
  V r_j, r_k, cosine;
};

/// The third side of the triangle, r_jk, with its derivatives.
template <class V>
struct OppositeSide {
  V length;
  TripletSlopes<V> slope;
};

/// Length |r_k v - r_j u|; where j and k coincide the slopes are those of a finite side of 1e-8.
template <class V>
PANNA_HD OppositeSide<V> opposite_side(V r_j, V r_k, Vector3<V> u, Vector3<V> v) {
  const Vector3<V> side = r_k * v - r_j * u;
  const V length = sqrt(larger(dot(side, side), V(1e-16)));
  const V cosine = dot(u, v), inverse = V(1) / length;
  return {length, {(r_j - r_k * cosine) * inverse, (r_k - r_j * cosine) * inverse, -r_j * r_k * inverse}};
}

template <class V>
struct TripletGradient {
  Vector3<V> j, k;
};

/// The same function's gradients with respect to the two edge vectors r_j u and r_k v.
template <class V>
PANNA_HD TripletGradient<V> triplet_gradient(TripletSlopes<V> slope, Vector3<V> u, Vector3<V> v, V inverse_r_j,
                                             V inverse_r_k, V cosine) {
  const V turn_j = slope.cosine * inverse_r_j, turn_k = slope.cosine * inverse_r_k;
  return {(slope.r_j - turn_j * cosine) * u + turn_j * v, (slope.r_k - turn_k * cosine) * v + turn_k * u};
}

}  // namespace panna_plus::math
