#include "cpu/panna_atom.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "system/failure.h"

namespace panna_plus {
namespace {

constexpr std::int64_t most_triplets = 100000000;

NeighborTable empty_table(std::size_t capacity, Arena &arena) {
  NeighborTable table;
  table.x = arena.take<double>(capacity);
  table.y = arena.take<double>(capacity);
  table.z = arena.take<double>(capacity);
  table.squared = arena.take<double>(capacity);
  table.atom = arena.take<std::int32_t>(capacity);
  table.species = arena.take<std::int32_t>(capacity);
  table.slot = arena.take<std::int32_t>(capacity);
  return table;
}

/// Lists the rows closer than the cutoff in `near`, uncounted atoms included. Every one is written and kept
/// or not by advancing the end: a branch would be mispredicted for every third of them.
int near_rows(const Neighborhood &atoms, std::int64_t center, double squared_cutoff, std::int32_t *near,
              bool &is_valid) {
  const std::int32_t *list = atoms.neighbors[center];
  const double *x_i = atoms.positions + 3 * center;
  const double xi = x_i[0], yi = x_i[1], zi = x_i[2];
  int kept = 0, is_wrong = 0;
  for (int k = 0; k < atoms.n_neighbors[center]; ++k) {
    const std::int32_t j = list[k] & atoms.neighbor_mask;
    if (j < 0 || j >= atoms.n_atoms) {
      is_valid = false;
      return kept;
    }
    const double *x_j = atoms.positions + 3 * std::int64_t(j);
    const double x = x_j[0] - xi, y = x_j[1] - yi, z = x_j[2] - zi, squared = x * x + y * y + z * z;
    near[kept] = j;
    kept += squared < squared_cutoff;
    // Coincident atoms, NaN, infinity.
    is_wrong |= int(!(squared >= 1e-16)) | int(!(squared <= 1e300));
  }
  is_valid = is_wrong == 0;
  return kept;
}

/// Neighbours closer than the cutoff.
NeighborTable gather(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits, Arena &arena) {
  const std::size_t capacity = static_cast<std::size_t>(std::max(atoms.n_neighbors[center], 0)) + 1;
  bool is_valid = true;
  std::int32_t *const near = arena.take<std::int32_t>(capacity);
  const int n_near = near_rows(atoms, center, limits.cutoff * limits.cutoff, near, is_valid);
  NeighborTable table = empty_table(static_cast<std::size_t>(n_near) + 1, arena);
  const double *x_i = atoms.positions + 3 * center;
  int kept = 0;
  for (int k = 0; k < n_near; ++k) {
    const double *x_j = atoms.positions + 3 * std::int64_t(near[k]);
    const double x = x_j[0] - x_i[0], y = x_j[1] - x_i[1], z = x_j[2] - x_i[2];
    const std::int32_t species = atoms.species[near[k]];
    table.x[kept] = x;
    table.y[kept] = y;
    table.z[kept] = z;
    table.squared[kept] = x * x + y * y + z * z;
    table.atom[kept] = near[k];
    table.species[kept] = species;
    is_valid &= species >= -1 && species < limits.n_elements;
    kept += species >= 0;
  }
  table.n = kept;
  if (!is_valid) {
    // The careful loop says what is wrong, and finds nothing if only atoms that do not count are affected.
    std::vector<NeighborRow> rows;
    ClosestPair ignored;
    gather_neighbors(atoms, center, limits, rows, ignored);
  }
  return table;
}

void measure_closest(const NeighborTable &table, std::int64_t center, const double *shortest, ClosestPair &closest) {
  for (int k = 0; k < table.n; ++k) {
    const double limit = shortest[table.species[k]], bound = closest.ratio * limit;
    if (limit > 0.0 && table.squared[k] < bound * bound) {
      closest.consider(std::sqrt(table.squared[k]), limit, center, table.atom[k]);
    }
  }
}

struct Layout {
  int *start, *n_total, *n_angular, *triplet_start;
};

/// Counts neighbours by species and gives each its slot: angular ones first in every species.
Layout assign_slots(NeighborTable &table, int n_species, double angular_cutoff, int lanes, Arena &arena) {
  const std::size_t n = static_cast<std::size_t>(n_species);
  Layout layout{arena.take<int>(n + 1), arena.take<int>(n), arena.take<int>(n), arena.take<int>(n * (n + 1) / 2 + 1)};
  int *const next_near = arena.take<int>(n), *const next_far = arena.take<int>(n);
  std::fill_n(layout.n_total, n, 0);
  std::fill_n(layout.n_angular, n, 0);
  const double limit = angular_cutoff * angular_cutoff;
  for (int k = 0; k < table.n; ++k) {
    layout.n_total[table.species[k]] += 1;
    layout.n_angular[table.species[k]] += table.squared[k] < limit;
  }
  layout.start[0] = 0;
  for (std::size_t s = 0; s < n; ++s) {
    next_near[s] = layout.start[s];
    next_far[s] = layout.start[s] + layout.n_angular[s];
    layout.start[s + 1] = layout.start[s] + ((layout.n_total[s] + lanes - 1) / lanes + 1) * lanes;
  }
  for (int k = 0; k < table.n; ++k) {
    const std::int32_t s = table.species[k];
    const int is_near = table.squared[k] < limit;
    table.slot[k] = is_near ? next_near[s] : next_far[s];
    next_near[s] += is_near;
    next_far[s] += 1 - is_near;
  }
  std::int64_t at = 0;
  int pair = 0;
  for (int s = 0; s < n_species; ++s) {
    for (int t = s; t < n_species; ++t, ++pair) {
      const std::int64_t a = layout.n_angular[s], b = layout.n_angular[t];
      layout.triplet_start[pair] = static_cast<int>(at);
      at += ((s == t ? a * (a - 1) / 2 : a * b) + 3 * lanes - 1) / lanes * lanes;
      require(at < most_triplets, "an atom has " + std::to_string(table.n) +
                                      " neighbours inside the cutoff: check the positions and their unit (angstrom)");
    }
  }
  layout.triplet_start[pair] = static_cast<int>(at);
  return layout;
}

template <class T>
void take_arrays(AtomView<T> &view, std::size_t n_slots, std::size_t n_triplets, Arena &arena) {
  T **const slots[] = {&view.x,
                       &view.y,
                       &view.z,
                       &view.r,
                       &view.inverse_r,
                       &view.radial_cut,
                       &view.radial_cut_slope,
                       &view.angular_cut,
                       &view.angular_cut_slope,
                       &view.gradient_x,
                       &view.gradient_y,
                       &view.gradient_z};
  for (T **array : slots) *array = arena.take<T>(n_slots);
  T **const triplets[] = {&view.cosine, &view.squared_sine, &view.shell_x, &view.weight};
  for (T **array : triplets) *array = arena.take<T>(n_triplets);
}

}  // namespace

template <class T>
PannaAtom<T> sorted_atom(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits,
                         const DescriptorView<T> &descriptor, int lanes, Arena &arena, ClosestPair &closest) {
  PannaAtom<T> atom;
  atom.center = center;
  atom.table = gather(atoms, center, limits, arena);
  measure_closest(atom.table, center,
                  limits.shortest_distances + std::int64_t(atoms.species[center]) * limits.n_elements, closest);
  const Layout layout = assign_slots(atom.table, descriptor.n_species, double(descriptor.angular_cutoff), lanes, arena);
  atom.view.start = layout.start;
  atom.view.n_total = layout.n_total;
  atom.view.n_angular = layout.n_angular;
  atom.view.triplet_start = layout.triplet_start;
  const int n_pairs = descriptor.n_species * (descriptor.n_species + 1) / 2;
  take_arrays(atom.view, static_cast<std::size_t>(layout.start[descriptor.n_species]),
              static_cast<std::size_t>(layout.triplet_start[n_pairs]), arena);
  for (int k = 0; k < atom.table.n; ++k) {
    const int slot = atom.table.slot[k];
    atom.view.x[slot] = T(atom.table.x[k]);
    atom.view.y[slot] = T(atom.table.y[k]);
    atom.view.z[slot] = T(atom.table.z[k]);
  }
  for (int s = 0; s < descriptor.n_species; ++s) {
    for (int slot = layout.start[s] + layout.n_total[s]; slot < layout.start[s + 1]; ++slot) {
      atom.view.x[slot] = T(2.0 * limits.cutoff);
      atom.view.y[slot] = atom.view.z[slot] = T(0);
    }
  }
  return atom;
}

template <class T>
void add_gradients(const PannaAtom<T> &atom, Results &results) {
  const NeighborTable &table = atom.table;
  const AtomView<T> &view = atom.view;
  if (results.atomic_virials || results.centroid_virials || !results.forces) {
    for (int k = 0; k < table.n; ++k) {
      const int slot = table.slot[k];
      const double r[3] = {table.x[k], table.y[k], table.z[k]};
      const double gradient[3] = {double(view.gradient_x[slot]), double(view.gradient_y[slot]),
                                  double(view.gradient_z[slot])};
      results.add_pair(atom.center, table.atom[k], r, gradient);
    }
    return;
  }
  double total[3] = {}, w[6] = {};
  for (int k = 0; k < table.n; ++k) {
    const int slot = table.slot[k];
    const double x = double(view.gradient_x[slot]), y = double(view.gradient_y[slot]),
                 z = double(view.gradient_z[slot]);
    double *force = results.forces + 3 * std::int64_t(table.atom[k]);
    force[0] -= x;
    force[1] -= y;
    force[2] -= z;
    total[0] += x;
    total[1] += y;
    total[2] += z;
    w[0] -= table.x[k] * x;
    w[1] -= table.y[k] * y;
    w[2] -= table.z[k] * z;
    w[3] -= 0.5 * (table.x[k] * y + table.y[k] * x);
    w[4] -= 0.5 * (table.x[k] * z + table.z[k] * x);
    w[5] -= 0.5 * (table.y[k] * z + table.z[k] * y);
  }
  for (int a = 0; a < 3; ++a) results.forces[3 * atom.center + a] += total[a];
  for (int a = 0; a < 6; ++a) results.virial[a] += w[a];
}

template PannaAtom<float> sorted_atom(const Neighborhood &, std::int64_t, const PairLimits &,
                                      const DescriptorView<float> &, int, Arena &, ClosestPair &);
template PannaAtom<double> sorted_atom(const Neighborhood &, std::int64_t, const PairLimits &,
                                       const DescriptorView<double> &, int, Arena &, ClosestPair &);
template void add_gradients(const PannaAtom<float> &, Results &);
template void add_gradients(const PannaAtom<double> &, Results &);

}  // namespace panna_plus
