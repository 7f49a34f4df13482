#include "cpu/so3krates_tables.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace panna_plus {
namespace {

constexpr int fewest_intervals = 16;
// Angstrom. Atoms are never closer, and tables may be less smooth there.
constexpr double shortest_distance = 0.4;

/// Knots of all layers and filters: (n_rows, n_knots, 3, n).
struct Shape {
  std::size_t n_rows, n_knots, n;

  std::size_t at(std::size_t row, std::size_t knot) const { return (row * n_knots + knot) * 3 * n; }
};

struct Knot {
  double value, slope, curvature;
};

Knot knot_of(const double *at, std::size_t n, double step) { return {at[0], at[n] * step, at[2 * n] * step * step}; }

/// Value and slope, per step, halfway between two knots or at another fraction t of the way.
Knot between(const Knot &a, const Knot &b, double t) {
  const double rise = b.value - a.value;
  const double c3 = 10.0 * rise - 6.0 * a.slope - 4.0 * b.slope - 1.5 * a.curvature + 0.5 * b.curvature;
  const double c4 = -15.0 * rise + 8.0 * a.slope + 7.0 * b.slope + 1.5 * a.curvature - b.curvature;
  const double c5 = 6.0 * rise - 3.0 * a.slope - 3.0 * b.slope - 0.5 * a.curvature + 0.5 * b.curvature;
  return {a.value + t * (a.slope + t * (0.5 * a.curvature + t * (c3 + t * (c4 + t * c5)))),
          a.slope + t * (a.curvature + t * (3.0 * c3 + t * (4.0 * c4 + t * 5.0 * c5))), 0.0};
}

/// Whether every `stride`-th knot is enough for the one in the middle between them.
bool is_enough(const RadialTables &tables, const Shape &shape, std::size_t stride, const double (&allowed)[2]) {
  const double step = tables.spacing * double(stride);
  for (std::size_t row = 0; row < shape.n_rows; ++row) {
    for (std::size_t k = 0; k + stride < shape.n_knots; k += stride) {
      if (tables.spacing * double(k) + 0.5 * step < shortest_distance) continue;
      for (std::size_t f = 0; f < shape.n; ++f) {
        const double *first = tables.values.data() + shape.at(row, k) + f;
        const double *last = tables.values.data() + shape.at(row, k + stride) + f;
        const double *middle = tables.values.data() + shape.at(row, k + stride / 2) + f;
        const Knot found = between(knot_of(first, shape.n, step), knot_of(last, shape.n, step), 0.5);
        if (std::fabs(found.value - middle[0]) > allowed[0]) return false;
        if (std::fabs(found.slope / step - middle[shape.n]) > allowed[1]) return false;
      }
    }
  }
  return true;
}

RadialTables every(const RadialTables &tables, const Shape &shape, std::size_t stride) {
  RadialTables thin;
  thin.n_features = tables.n_features;
  thin.spacing = tables.spacing * double(stride);
  thin.n_knots = static_cast<int>((shape.n_knots - 1) / stride) + 1;
  for (std::size_t row = 0; row < shape.n_rows; ++row) {
    for (std::size_t k = 0; k < shape.n_knots; k += stride) {
      const double *knot = tables.values.data() + shape.at(row, k);
      thin.values.insert(thin.values.end(), knot, knot + 3 * shape.n);
    }
  }
  return thin;
}

}  // namespace

RadialTables thinned_tables(const RadialTables &tables, double tolerance) {
  const std::size_t n_knots = static_cast<std::size_t>(tables.n_knots), n = static_cast<std::size_t>(tables.n_features);
  const Shape shape{tables.values.size() / (3 * n * n_knots), n_knots, n};
  double allowed[2] = {0.0, 0.0};
  for (std::size_t row = 0; row < shape.n_rows * n_knots; ++row) {
    for (std::size_t k = 0; k < 2 * n; ++k) {
      allowed[k / n] = std::max(allowed[k / n], tolerance * std::fabs(tables.values[row * 3 * n + k]));
    }
  }
  std::size_t stride = 1;
  while ((n_knots - 1) % (2 * stride) == 0 && (n_knots - 1) / (2 * stride) >= fewest_intervals &&
         is_enough(tables, shape, 2 * stride, allowed)) {
    stride *= 2;
  }
  return every(tables, shape, stride);
}

}  // namespace panna_plus
