// Elementary functions of one number through the standard library: what the formulas of this folder
// call when V is float or double. SIMD packs bring their own overloads, found by argument type.
#pragma once

#include <cmath>

#include "math/platform.h"

namespace panna_plus::math {

PANNA_HD float exp(float x) { return std::exp(x); }
PANNA_HD double exp(double x) { return std::exp(x); }
PANNA_HD float sqrt(float x) { return std::sqrt(x); }
PANNA_HD double sqrt(double x) { return std::sqrt(x); }
/// 2^x; x at most 0.
PANNA_HD float exp2_nonpositive(float x) { return std::exp2(x); }
PANNA_HD double exp2_nonpositive(double x) { return std::exp2(x); }
PANNA_HD float tanh(float x) { return std::tanh(x); }
PANNA_HD double tanh(double x) { return std::tanh(x); }
#if defined(PANNA_GPU_CODE)
PANNA_HD float larger(float a, float b) { return fmaxf(a, b); }
PANNA_HD double larger(double a, double b) { return fmax(a, b); }
PANNA_HD float smaller(float a, float b) { return fminf(a, b); }
PANNA_HD double smaller(double a, double b) { return fmin(a, b); }
// Without the special cases of pow, x >= 0 and y > 0.
PANNA_HD float power(float x, float y) { return exp2f(y * log2f(x)); }
PANNA_HD double power(double x, double y) { return ::exp2(y * ::log2(x)); }
// In units of pi: the other forms reduce huge arguments in local memory.
PANNA_HD float inverse_sqrt(float x) { return rsqrtf(x); }
PANNA_HD double inverse_sqrt(double x) { return rsqrt(x); }
PANNA_HD float cos_of(float x) { return cospif(x * 0.318309886183790671538f); }
PANNA_HD double cos_of(double x) { return cospi(x * 0.318309886183790671538); }
PANNA_HD float sin_of(float x) { return sinpif(x * 0.318309886183790671538f); }
PANNA_HD double sin_of(double x) { return sinpi(x * 0.318309886183790671538); }
#else
PANNA_HD float larger(float a, float b) { return a > b ? a : b; }
PANNA_HD double larger(double a, double b) { return a > b ? a : b; }
PANNA_HD float smaller(float a, float b) { return a < b ? a : b; }
PANNA_HD double smaller(double a, double b) { return a < b ? a : b; }
PANNA_HD float power(float x, float y) { return std::pow(x, y); }
PANNA_HD double power(double x, double y) { return std::pow(x, y); }
PANNA_HD float inverse_sqrt(float x) { return 1.0f / std::sqrt(x); }
PANNA_HD double inverse_sqrt(double x) { return 1.0 / std::sqrt(x); }
PANNA_HD float cos_of(float x) { return std::cos(x); }
PANNA_HD double cos_of(double x) { return std::cos(x); }
PANNA_HD float sin_of(float x) { return std::sin(x); }
PANNA_HD double sin_of(double x) { return std::sin(x); }
#endif

/// `yes` where a > b, else `no`.
PANNA_HD float where_greater(float a, float b, float yes, float no) { return a > b ? yes : no; }
PANNA_HD double where_greater(double a, double b, double yes, double no) { return a > b ? yes : no; }

}  // namespace panna_plus::math
