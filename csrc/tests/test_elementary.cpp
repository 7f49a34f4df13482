// Sweeps every elementary function of the packs over its range; the bounds are those that
// cpu/simd/elementary.h and cpu/simd/special.h state.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "check.h"
#include "cpu/simd/elementary.h"
#include "cpu/simd/special.h"

namespace panna_plus::PANNA_ISA {
namespace {

/// Largest value of error(x, function(x)) for n points between low and high.
template <class T, class Function, class Error>
double largest_error(double low, double high, Function function, Error error) {
  constexpr int W = Pack<T>::width, n = 200000;
  double largest = 0.0;
  T x[W], y[W];
  for (int k = 0; k < n; k += W) {
    for (int lane = 0; lane < W; ++lane) x[lane] = T(low + (high - low) * (k + lane) / (n + W));
    function(Pack<T>::load(x)).store(y);
    for (int lane = 0; lane < W; ++lane) {
      const double found = error(static_cast<long double>(x[lane]), static_cast<long double>(y[lane]));
      largest = std::max(largest, std::isnan(found) ? 1e300 : found);
    }
  }
  return largest;
}

template <class Exact>
auto relative(Exact exact) {
  return [exact](long double x, long double y) { return double(std::fabs((y - exact(x)) / exact(x))); };
}
template <class Exact>
auto absolute(Exact exact) {
  return [exact](long double x, long double y) { return double(std::fabs(y - exact(x))); };
}

template <class T>
struct Bounds {
  const char *name;
  double exp2, exp, tanh, cutoff, inverse_sqrt, reciprocal, log2, log2_per_unit, power, exp_range;
};

void expect(const std::string &what, double found, double bound) {
  test::check(found <= bound,
              what + ": error " + std::to_string(found * 1e16) + "e-16 above " + std::to_string(bound * 1e16) + "e-16");
}

template <class T>
void sweep(const Bounds<T> &bound) {
  using V = Pack<T>;
  const std::string name = bound.name;
  expect(name + " exp2",
         largest_error<T>(
             -bound.exp_range * 1.44, 0, [](V x) { return exp2_nonpositive(x); },
             relative([](long double x) { return std::exp2(x); })),
         bound.exp2);
  auto exponential = [](long double x) { return std::exp(x); };
  expect(name + " exp",
         largest_error<T>(
             -bound.exp_range, bound.exp_range, [](V x) { return exp(x); }, relative(exponential)),
         bound.exp);
  expect(name + " tanh",
         largest_error<T>(
             -60, 60, [](V x) { return tanh(x); }, absolute([](long double x) { return std::tanh(x); })),
         bound.tanh);
  expect(name + " cos",
         largest_error<T>(
             0, 3.1415926, [](V x) { return cos_of(x); }, absolute([](long double x) { return std::cos(x); })),
         bound.cutoff);
  expect(name + " sin",
         largest_error<T>(
             0, 3.1415926, [](V x) { return sin_of(x); }, absolute([](long double x) { return std::sin(x); })),
         bound.cutoff);
  expect(name + " inverse sqrt",
         largest_error<T>(
             1e-7, 40, [](V x) { return inverse_sqrt(x); }, relative([](long double x) { return 1 / std::sqrt(x); })),
         bound.inverse_sqrt);
  expect(name + " reciprocal",
         largest_error<T>(
             1e-7, 40, [](V x) { return reciprocal(x); }, relative([](long double x) { return 1 / x; })),
         bound.reciprocal);
  expect(name + " log2",
         largest_error<T>(
             1e-6, 4, [](V x) { return log2_positive(x); },
             [&](long double x, long double y) {
               return absolute([](long double z) { return std::log2(z); })(x, y) -
                      bound.log2_per_unit * double(std::fabs(std::log2(x)));
             }),
         bound.log2);
  expect(name + " fractional power",
         largest_error<T>(
             1e-4, 1, [](V x) { return fractional_power(x, V(0.7)); },
             relative([](long double x) { return std::pow(x, 0.7L); })),
         bound.power);
}

template <class T>
void sweep_special(const std::string &name, double erf, double root) {
  using V = Pack<T>;
  auto exact = [](long double x) { return std::erf(x); };
  auto slope = [](long double x) { return 1.1283791670955125739L * std::exp(-x * x); };
  for (const double end : {0.5, 7.0, 30.0}) {
    expect(name + " erf",
           largest_error<T>(
               0, end, [](V x) { return error_function(x).value; }, absolute(exact)),
           erf);
    expect(name + " slope of erf",
           largest_error<T>(
               0, end, [](V x) { return error_function(x).slope; }, absolute(slope)),
           erf);
  }
  expect(name + " seventh root",
         largest_error<T>(
             1e-6, 900, [](V x) { return seventh_root(x); },
             relative([](long double x) { return std::pow(x, 1.0L / 7.0L); })),
         root);
}

template <class T>
void test_saturation(double range) {
  using V = Pack<T>;
  for (const double x : {-10.0 * range, -1e30, -range, -1.01 * range}) {
    const T low = exp2_nonpositive(V(x)).v[0], both = exp(V(x)).v[0], high = exp(V(-x)).v[0];
    test::check(low >= 0 && low < 1e-20 && std::isfinite(low), "exp2 far below its range");
    test::check(both >= 0 && both < 1e-20 && std::isfinite(high), "exp far outside its range");
  }
  test::check(fractional_power(V(0), V(0.5)).v[0] < 1e-15, "0 to a fractional power");
}

void test_powers_and_sums() {
  using V = Pack<double>;
  for (int n = 0; n < 70; ++n) {
    V x[2] = {V(0.9), V(1.1)}, y[2];
    integer_powers(x, n, y);
    test::check(std::fabs(y[0].v[0] - std::pow(0.9, n)) < 1e-13 && std::fabs(y[1].v[0] / std::pow(1.1, n) - 1) < 1e-13,
                "power " + std::to_string(n));
  }
  constexpr int W = Pack<float>::width;
  Pack<float> packs[W];
  float sums[W], four[4 + W];
  for (int k = 0; k < W; ++k) {
    for (int lane = 0; lane < W; ++lane) packs[k].v[lane] = float(100 * k + lane);
  }
  four_sums(packs[0], packs[1], packs[2], packs[3], four);
  sums_across(packs).store(sums);
  for (int k = 0; k < W; ++k) {
    const float expected = float(100 * k * W + W * (W - 1) / 2);
    test::check(sums[k] == expected, "sums across lanes");
    test::check(k >= 4 || four[k] == expected, "four sums across lanes");
  }
}

}  // namespace

void run_tests() {
  sweep<float>({"float", 1.2e-7, 1.3e-7, 2e-7, 2.4e-7, 1e-7, 7e-8, 9e-8, 7e-8, 7e-7, 86.0});
  sweep<double>({"double", 2e-16, 2.4e-16, 3.6e-16, 4e-16, 2e-16, 1.3e-16, 1.6e-16, 1.2e-16, 1.5e-15, 700.0});
  sweep_special<float>("float", 3e-7, 3e-7);
  sweep_special<double>("double", 6e-16, 4e-16);
  test_saturation<float>(90.0);
  test_saturation<double>(720.0);
  test_powers_and_sums();
}

}  // namespace panna_plus::PANNA_ISA

int main() {
  panna_plus::PANNA_ISA::run_tests();
  return panna_plus::test::finish("test_elementary");
}
