// W numbers that are computed together: GCC and Clang vector extensions behind a value type, so that
// the formulas of csrc/math serve a pack as they serve one number.
//
// This file is compiled once per instruction set: everything lies in a namespace of its own
// (PANNA_ISA), is always inlined and calls nothing of the standard library, so that no function
// compiled for a newer processor can be picked by the linker for an older one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>  // integer_sequence only

#include "math/platform.h"

#ifndef PANNA_ISA
#error "compile with -DPANNA_ISA=<name of the instruction set> and -DPANNA_VECTOR_BYTES=<16, 32 or 64>"
#endif

namespace panna_plus::PANNA_ISA {

template <class T>
struct IntegerOf;
template <>
struct IntegerOf<float> {
  using type = std::int32_t;
};
template <>
struct IntegerOf<double> {
  using type = std::int64_t;
};

template <class T>
struct Pack {
  static constexpr int width = PANNA_VECTOR_BYTES / sizeof(T);
  using Int = typename IntegerOf<T>::type;
  typedef T Vector __attribute__((vector_size(PANNA_VECTOR_BYTES)));
  typedef Int Bits __attribute__((vector_size(PANNA_VECTOR_BYTES)));
  typedef T Unaligned __attribute__((vector_size(PANNA_VECTOR_BYTES), aligned(sizeof(T))));

  Vector v;

  Pack() = default;
  PANNA_HD Pack(Vector vector) : v(vector) {}
  PANNA_HD explicit Pack(double number) : v(static_cast<T>(number) - Vector{}) {}
  PANNA_HD explicit Pack(float number) : v(static_cast<T>(number) - Vector{}) {}
  PANNA_HD explicit Pack(int number) : v(static_cast<T>(number) - Vector{}) {}

  PANNA_HD static Pack load(const T *p) { return Vector(*reinterpret_cast<const Unaligned *>(p)); }
  PANNA_HD void store(T *p) const { *reinterpret_cast<Unaligned *>(p) = v; }
  PANNA_HD Pack &operator+=(Pack b) {
    v += b.v;
    return *this;
  }
};

template <class T>
PANNA_HD Pack<T> operator+(Pack<T> a, Pack<T> b) {
  return a.v + b.v;
}
template <class T>
PANNA_HD Pack<T> operator-(Pack<T> a, Pack<T> b) {
  return a.v - b.v;
}
template <class T>
PANNA_HD Pack<T> operator*(Pack<T> a, Pack<T> b) {
  return a.v * b.v;
}
template <class T>
PANNA_HD Pack<T> operator/(Pack<T> a, Pack<T> b) {
  return a.v / b.v;
}
template <class T>
PANNA_HD Pack<T> operator-(Pack<T> a) {
  return -a.v;
}
template <class T>
PANNA_HD Pack<T> larger(Pack<T> a, Pack<T> b) {
  return a.v > b.v ? a.v : b.v;
}
template <class T>
PANNA_HD Pack<T> smaller(Pack<T> a, Pack<T> b) {
  return a.v < b.v ? a.v : b.v;
}
template <class T>
PANNA_HD Pack<T> where_greater(Pack<T> a, Pack<T> b, Pack<T> yes, Pack<T> no) {
  return a.v > b.v ? yes.v : no.v;
}

/// Lane l of the result is number Index[l] of a's lanes followed by b's.
template <int... Index, class T>
PANNA_HD Pack<T> shuffled(Pack<T> a, Pack<T> b) {
#if defined(__clang__)
  return Pack<T>(__builtin_shufflevector(a.v, b.v, Index...));
#else
  return Pack<T>(__builtin_shuffle(a.v, b.v, typename Pack<T>::Bits{Index...}));
#endif
}

/// Lanes in groups of 2 H: the lower half of each group becomes the sum of a's two halves, the upper
/// half that of b's. Applied to pairs of packs with H = W/2, W/4, ... 1 it sums W packs across lanes.
template <int H, class T, int... Lane>
PANNA_HD Pack<T> folded(Pack<T> a, Pack<T> b, std::integer_sequence<int, Lane...>) {
  constexpr int W = Pack<T>::width;
  const Pack<T> low = shuffled<(Lane % (2 * H) < H ? Lane : W + Lane - H)...>(a, b);
  const Pack<T> high = shuffled<(Lane % (2 * H) < H ? Lane + H : W + Lane)...>(a, b);
  return low + high;
}
template <int H, class T>
PANNA_HD Pack<T> folded(Pack<T> a, Pack<T> b) {
  return folded<H>(a, b, std::make_integer_sequence<int, Pack<T>::width>());
}

/// Lane l of the result is the sum over the lanes of packs[l].
template <class T>
PANNA_HD Pack<T> sums_across(Pack<T> *packs) {
  constexpr int W = Pack<T>::width;
  if constexpr (W >= 16) {
    for (int k = 0; k < 8; ++k) packs[k] = folded<8>(packs[k], packs[k + 8]);
  }
  if constexpr (W >= 8) {
    for (int k = 0; k < 4; ++k) packs[k] = folded<4>(packs[k], packs[k + 4]);
  }
  if constexpr (W >= 4) {
    for (int k = 0; k < 2; ++k) packs[k] = folded<2>(packs[k], packs[k + 2]);
  }
  return folded<1>(packs[0], packs[1]);
}

/// out[k] = sum over the lanes of packs[k].
template <class T>
PANNA_HD void four_sums(Pack<T> a, Pack<T> b, Pack<T> c, Pack<T> d, T *out) {
  constexpr int W = Pack<T>::width;
  if constexpr (W < 4) {
    folded<1>(a, b).store(out);
    folded<1>(c, d).store(out + 2);
  } else {
    constexpr int H = W / 2;
    Pack<T> all = folded<H / 2>(folded<H>(a, c), folded<H>(b, d));
    if constexpr (W >= 16) all = folded<2>(all, all);
    if constexpr (W >= 8) all = folded<1>(all, all);
    for (int k = 0; k < 4; ++k) out[k] = all.v[k * (W / 4)];
  }
}

template <class T>
PANNA_HD T sum_across(Pack<T> a) {
  constexpr int W = Pack<T>::width;
  if constexpr (W >= 16) a = folded<8>(a, a);
  if constexpr (W >= 8) a = folded<4>(a, a);
  if constexpr (W >= 4) a = folded<2>(a, a);
  a = folded<1>(a, a);
  return a.v[0];
}

}  // namespace panna_plus::PANNA_ISA
