// Functions of packs that only a few formulas need; as in elementary.h, with the same meaning of the errors.
#pragma once

#include "cpu/simd/elementary.h"
#include "math/value_slope.h"

namespace panna_plus::PANNA_ISA {

/// e^(x^2) erfc x as a polynomial of t = factor (zero - x) / (shift + x), for x up to `end`: from there on erf x is 1.
template <class T>
struct ScaledErfc;

template <>
struct ScaledErfc<float> {
  static constexpr float end = 4.0f, zero = 1.1111111111f, shift = 2.5f, factor = 2.25f;
  static constexpr float c[] = {0.39902928489f,   0.38782921351f,     0.16385971225f,
                                0.044003083969f,  0.0058012282477f,   -0.00033748053446f,
                                -0.00019727652532f, 5.4561441779e-6f, 6.780460124e-6f};
};

template <>
struct ScaledErfc<double> {
  static constexpr double end = 6.0, zero = 1.6666666666666666667, shift = 3.75, factor = 2.25;
  static constexpr double c[] = {0.2962874773692112756,    0.3388528060942913838,    0.2069709532024269293,
                                 0.1018623201459514875,    0.04024193918977336135,   0.01248634296388798459,
                                 0.002878595047234135154,  0.0004203256475284624962, 0.00001097944404367140568,
                                 -0.00001023414495737188951, -1.731529836016489731e-6, 1.570508769542522032e-7,
                                 7.399084767023137927e-8,  -1.678228177251595207e-9, -2.916372204379282249e-9,
                                 2.243249432102174351e-11, 1.029403887700969087e-10, -2.052396081550840723e-12};
};

/// erf x and its derivative, x >= 0; absolute error of both 3e-7 (float), 6e-16 (double).
template <class T>
PANNA_HD math::ValueSlope<Pack<T>> error_function(Pack<T> x) {
  using S = ScaledErfc<T>;
  const Pack<T> gauss = exp(-x * x), bounded = smaller(x, Pack<T>(S::end));
  const Pack<T> t = Pack<T>(S::factor) * (Pack<T>(S::zero) - bounded) * reciprocal(Pack<T>(S::shift) + bounded);
  return {Pack<T>(1) - gauss * polynomial(S::c, t), Pack<T>(1.12837916709551257390) * gauss};
}

/// x^(1/7) for positive normal x; relative error 3e-7 (float), 4e-16 (double).
template <class T>
PANNA_HD Pack<T> seventh_root(Pack<T> x) {
  return exp(log2_positive(x) * Pack<T>(0.09902102579427790134));
}

}  // namespace panna_plus::PANNA_ISA
