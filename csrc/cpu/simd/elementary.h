// Elementary functions of packs: branch-free, without the standard library. The polynomials are
// Chebyshev fits made in 40 digits; the error stated at each function is the largest one that
// csrc/tests/test_elementary.cpp finds in a sweep.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/simd/pack.h"

namespace panna_plus::PANNA_ISA {

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr float rounding = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr int mantissa_bits = 23, exponent_bias = 127;
  static constexpr float smallest_exponent = -126.0f, largest_exponent = 127.0f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;  // their sum is ln 2
  static constexpr float smallest = 1.17549435e-38f;
  static constexpr float exp2[] = {
      1.0f, 0.69314720670f, 0.24022650922f, 0.055503272267f, 0.0096180566785f, 0.0013400428178f, 0.00015461444699f};
  static constexpr float sine[] = {0.99999999998f,     -0.16666666616f,  0.0083333309623f,
                                   -0.00019840859633f, 2.7525189313e-6f, -2.3887769157e-8f};
  static constexpr float cosine[] = {0.99999999978f,    -0.49999999351f,  0.041666636006f,
                                     -0.0013888358287f, 2.4760005730e-5f, -2.6048787104e-7f};
  static constexpr float log2[] = {2.8853900818f, 0.96179667299f, 0.57708366045f, 0.41166778679f, 0.34082789794f};
};

template <>
struct Constants<double> {
  static constexpr double rounding = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int mantissa_bits = 52, exponent_bias = 1023;
  static constexpr double smallest_exponent = -1022.0, largest_exponent = 1023.0;
  static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
  static constexpr double smallest = 2.2250738585072014e-308;
  static constexpr double exp2[] = {1.0,
                                    0.6931471805599453084,
                                    0.2402265069591007123,
                                    0.05550410866482169899,
                                    0.009618129107628483054,
                                    0.001333355814639035277,
                                    0.0001540353039336275529,
                                    0.00001525273385629346642,
                                    1.321548681599997697e-6,
                                    1.017805119296064896e-7,
                                    7.054894386348348044e-9,
                                    4.456675341049205878e-10,
                                    2.573356830875689124e-11};
  static constexpr double sine[] = {1.0,
                                    -0.1666666666666666666,
                                    0.008333333333333333,
                                    -0.0001984126984126966831,
                                    2.755731922394036774e-6,
                                    -2.505210837855873218e-8,
                                    1.605904320310051677e-10,
                                    -7.647127603230654239e-13,
                                    2.810211396963091771e-15,
                                    -7.982219926830182735e-18};
  static constexpr double cosine[] = {1.0,
                                      -0.5,
                                      0.04166666666666666665,
                                      -0.001388888888888888802,
                                      0.00002480158730158702053,
                                      -2.75573192239327804e-7,
                                      2.087675698161067297e-9,
                                      -1.14707451241593854e-11,
                                      4.779454299158193043e-14,
                                      -1.561224441645507788e-16,
                                      3.991103965160619291e-19};
  static constexpr double log2[] = {2.885390081777926815,  0.961796693925975606,  0.5770780163555841954,
                                    0.4121985831116366212, 0.3205988978648279371, 0.2623082031462647827,
                                    0.2219520213788619051, 0.1924094302165018852, 0.16830830173969294,
                                    0.1738762493555399452};
};

/// c[0] + c[1] x + ...
template <class T, int N>
PANNA_HD Pack<T> polynomial(const T (&c)[N], Pack<T> x) {
  Pack<T> sum(c[N - 1]);
#pragma GCC unroll 16
  for (int k = N - 2; k >= 0; --k) sum = sum * x + Pack<T>(c[k]);
  return sum;
}

/// p 2^n, where n is given as rounding + n and p 2^n is a normal number.
template <class T>
PANNA_HD Pack<T> scaled_by_power(Pack<T> p, Pack<T> n_shifted) {
  using Bits = typename Pack<T>::Bits;
  const Bits exponent = reinterpret_cast<Bits>(n_shifted.v) << Constants<T>::mantissa_bits;
  return reinterpret_cast<typename Pack<T>::Vector>(reinterpret_cast<Bits>(p.v) + exponent);
}

/// 2^x for x at most 0; below the range of normal numbers it stays at the smallest one.
/// Relative error for the x given: 1.2e-7 (float), 2e-16 (double).
template <class T>
PANNA_HD Pack<T> exp2_nonpositive(Pack<T> x) {
  using C = Constants<T>;
  x = larger(x, Pack<T>(C::smallest_exponent));
  const Pack<T> shifted = x + Pack<T>(C::rounding);
  const Pack<T> n = shifted - Pack<T>(C::rounding);
  return scaled_by_power(polynomial(C::exp2, x - n), shifted);
}

/// e^x, between the smallest normal number and 2^127 (float) or 2^1023 (double), to which it saturates.
/// Relative error: 1.3e-7 (float), 2.4e-16 (double).
template <class T>
PANNA_HD Pack<T> exp(Pack<T> x) {
  using C = Constants<T>;
  const Pack<T> log2_e(1.44269504088896340736), ln2(0.69314718055994530942);
  x = smaller(larger(x, Pack<T>(C::smallest_exponent) * ln2), Pack<T>(C::largest_exponent) * ln2);
  const Pack<T> shifted = x * log2_e + Pack<T>(C::rounding);
  const Pack<T> n = shifted - Pack<T>(C::rounding);
  // Two constants: n ln 2 in one product would lose the digits that matter.
  const Pack<T> rest = (x - n * Pack<T>(C::ln2_high)) - n * Pack<T>(C::ln2_low);
  return scaled_by_power(polynomial(C::exp2, rest * log2_e), shifted);
}

/// tanh x with an absolute error of 2e-7 (float), 3.6e-16 (double).
template <class T>
PANNA_HD Pack<T> tanh(Pack<T> x) {
  const Pack<T> one(1), two(2);
  const Pack<T> bounded = larger(smaller(x, Pack<T>(40)), Pack<T>(-40));
  return one - two / (one + exp(two * bounded));
}

/// cos x and sin x for x in [0, pi]; absolute error 2.4e-7 (float), 4e-16 (double).
template <class T>
PANNA_HD Pack<T> cos_of(Pack<T> x) {
  const Pack<T> y = x - Pack<T>(1.57079632679489661923);
  return -y * polynomial(Constants<T>::sine, y * y);
}
template <class T>
PANNA_HD Pack<T> sin_of(Pack<T> x) {
  const Pack<T> y = x - Pack<T>(1.57079632679489661923);
  return polynomial(Constants<T>::cosine, y * y);
}

#if defined(__AVX512F__)
PANNA_HD Pack<float> sqrt(Pack<float> x) { return Pack<float>::Vector(_mm512_maskz_sqrt_ps(0xffff, x.v)); }
PANNA_HD Pack<double> sqrt(Pack<double> x) { return Pack<double>::Vector(_mm512_maskz_sqrt_pd(0xff, x.v)); }
#elif defined(__AVX__)
PANNA_HD Pack<float> sqrt(Pack<float> x) { return Pack<float>::Vector(_mm256_sqrt_ps(x.v)); }
PANNA_HD Pack<double> sqrt(Pack<double> x) { return Pack<double>::Vector(_mm256_sqrt_pd(x.v)); }
#elif defined(__SSE2__)
PANNA_HD Pack<float> sqrt(Pack<float> x) { return Pack<float>::Vector(_mm_sqrt_ps(x.v)); }
PANNA_HD Pack<double> sqrt(Pack<double> x) { return Pack<double>::Vector(_mm_sqrt_pd(x.v)); }
#else
PANNA_HD Pack<float> sqrt(Pack<float> x) {
  for (int lane = 0; lane < x.width; ++lane) x.v[lane] = __builtin_sqrtf(x.v[lane]);
  return x;
}
PANNA_HD Pack<double> sqrt(Pack<double> x) {
  for (int lane = 0; lane < x.width; ++lane) x.v[lane] = __builtin_sqrt(x.v[lane]);
  return x;
}
#endif

/// 1 / sqrt(x) for positive normal x; relative error 1e-7 (float), 2e-16 (double). An estimate and Newton
/// steps: root and quotient of the processor share one slow unit.
template <class T>
PANNA_HD Pack<T> newton_inverse_sqrt(Pack<T> x, Pack<T> estimate) {
  const Pack<T> half(0.5), correction = half - half * x * estimate * estimate;
  return estimate + estimate * correction;
}
/// 1 / x for positive normal x; relative error 7e-8 (float), 1.3e-16 (double).
template <class T>
PANNA_HD Pack<T> newton_reciprocal(Pack<T> x, Pack<T> estimate) {
  return estimate + estimate * (Pack<T>(1) - x * estimate);
}
#if defined(__AVX512F__)
PANNA_HD Pack<float> reciprocal(Pack<float> x) {
  return newton_reciprocal(x, Pack<float>(Pack<float>::Vector(_mm512_maskz_rcp14_ps(0xffff, x.v))));
}
PANNA_HD Pack<double> reciprocal(Pack<double> x) {
  const Pack<double> estimate(Pack<double>::Vector(_mm512_maskz_rcp14_pd(0xff, x.v)));
  return newton_reciprocal(x, newton_reciprocal(x, estimate));
}
PANNA_HD Pack<float> inverse_sqrt(Pack<float> x) {
  return newton_inverse_sqrt(x, Pack<float>(Pack<float>::Vector(_mm512_maskz_rsqrt14_ps(0xffff, x.v))));
}
PANNA_HD Pack<double> inverse_sqrt(Pack<double> x) {
  const Pack<double> estimate(Pack<double>::Vector(_mm512_maskz_rsqrt14_pd(0xff, x.v)));
  return newton_inverse_sqrt(x, newton_inverse_sqrt(x, estimate));
}
#else
template <class T>
PANNA_HD Pack<T> reciprocal(Pack<T> x) {
  return Pack<T>(1) / x;
}
template <class T>
PANNA_HD Pack<T> inverse_sqrt(Pack<T> x) {
  return Pack<T>(1) / sqrt(x);
}
#endif

/// log2 x for positive normal x; absolute error 9e-8 + 7e-8 |log2 x| (float), 1.6e-16 + 1.2e-16 |log2 x|
/// (double).
template <class T>
PANNA_HD Pack<T> log2_positive(Pack<T> x) {
  using C = Constants<T>;
  using Bits = typename Pack<T>::Bits;
  using Vector = typename Pack<T>::Vector;
  // Splitting at sqrt(1/2) keeps the mantissa near 1: its bits are subtracted before the exponent is taken.
  const Vector root_half = Pack<T>(0.70710678118654752440).v, one = Pack<T>(1).v;
  const Bits offset = reinterpret_cast<Bits>(x.v) - reinterpret_cast<Bits>(root_half);
  const Bits exponent = offset >> C::mantissa_bits;
  const Bits mantissa = reinterpret_cast<Bits>(x.v) - (exponent << C::mantissa_bits);
  const Pack<T> m(reinterpret_cast<Vector>(mantissa));
  const Pack<T> t = (m - Pack<T>(one)) / (m + Pack<T>(one));
  const Pack<T> n(__builtin_convertvector(exponent, Vector));
  return n + t * polynomial(C::log2, t * t);
}

/// x^y for x in [0, 1] and y in [0, 1).
/// Relative error for x > 1e-4: 7e-7 (float), 1.5e-15 (double).
template <class T>
PANNA_HD Pack<T> fractional_power(Pack<T> x, Pack<T> y) {
  return exp2_nonpositive(smaller(y * log2_positive(larger(x, Pack<T>(Constants<T>::smallest))), Pack<T>(0)));
}

/// x^n for n >= 0, by squaring, for N packs at once: one chain alone would wait for every product.
/// n is the same in all lanes.
template <int N, class T>
PANNA_HD void integer_powers(Pack<T> (&x)[N], int n, Pack<T> (&result)[N]) {
  if (n == 0) {
#pragma GCC unroll 8
    for (int k = 0; k < N; ++k) result[k] = Pack<T>(1);
    return;
  }
  for (; !(n & 1); n >>= 1) {
#pragma GCC unroll 8
    for (int k = 0; k < N; ++k) x[k] = x[k] * x[k];
  }
#pragma GCC unroll 8
  for (int k = 0; k < N; ++k) result[k] = x[k];
  while (n >>= 1) {
#pragma GCC unroll 8
    for (int k = 0; k < N; ++k) x[k] = x[k] * x[k];
    if (n & 1) {
#pragma GCC unroll 8
      for (int k = 0; k < N; ++k) result[k] = result[k] * x[k];
    }
  }
}

}  // namespace panna_plus::PANNA_ISA
