#pragma once

#include "math/elementary.h"

namespace panna_plus::math {

template <class V>
struct Vector3 {
  V x, y, z;
};

template <class V>
PANNA_HD Vector3<V> operator+(Vector3<V> a, Vector3<V> b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}

template <class V>
PANNA_HD Vector3<V> operator-(Vector3<V> a, Vector3<V> b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}

template <class V>
PANNA_HD Vector3<V> operator*(V s, Vector3<V> a) {
  return {s * a.x, s * a.y, s * a.z};
}

template <class V>
PANNA_HD V dot(Vector3<V> a, Vector3<V> b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

template <class V>
PANNA_HD Vector3<V> cross(Vector3<V> a, Vector3<V> b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

}  // namespace panna_plus::math
