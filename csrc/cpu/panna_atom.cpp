#include "cpu/panna_atom.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "math/vector3.h"
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

/// The neighbours of one centre as a Neighborhood lists them; a row is one of its positions.
struct ListedAtoms {
  const Neighborhood &atoms;
  std::int64_t center;
  const PairLimits &limits;
  const std::int32_t *list = atoms.neighbors[center];
  math::Vector3<double> origin = position(center);

  std::int32_t size() const { return std::max(atoms.n_neighbors[center], 0); }
  std::int32_t row(std::int32_t k) const { return list[k] & atoms.neighbor_mask; }
  bool exists(std::int32_t row) const { return row >= 0 && row < atoms.n_atoms; }
  std::int32_t species(std::int32_t row) const { return atoms.species[row]; }
  math::Vector3<double> displacement(std::int32_t row) const { return position(row) - origin; }

  /// The careful loop says what is wrong, and finds nothing if only atoms that do not count are affected.
  void check_carefully() const {
    std::vector<NeighborRow> rows;
    ClosestPair ignored;
    gather_neighbors(atoms, center, limits, rows, ignored);
  }

 private:
  math::Vector3<double> position(std::int64_t atom) const {
    const double *x = atoms.positions + 3 * atom;
    return {x[0], x[1], x[2]};
  }
};

/// The same for lists of displacements; a row is one of the centre's pairs.
struct ListedPairs {
  const PairLists &pairs;
  std::int64_t center;
  std::int64_t begin = pairs.row_start[center];

  std::int32_t size() const { return static_cast<std::int32_t>(pairs.n_neighbors(center)); }
  std::int32_t row(std::int32_t k) const { return k; }
  bool exists(std::int32_t) const { return true; }
  std::int32_t species(std::int32_t row) const { return static_cast<std::int32_t>(pairs.species_of(begin + row)); }
  math::Vector3<double> displacement(std::int32_t row) const {
    const double *r = pairs.displacements + 3 * (begin + row);
    return {r[0], r[1], r[2]};
  }
  void check_carefully() const { check_displacements(pairs, center); }
};

/// Lists the rows closer than the cutoff in `near`, uncounted atoms included. Every one is written and kept
/// or not by advancing the end: a branch would be mispredicted for every third of them. (Rows by value: no store can
/// change them, they stay in registers.)
template <class Rows>
int near_rows(Rows rows, double squared_cutoff, std::int32_t *near, bool &is_valid) {
  int kept = 0, is_wrong = 0;
  for (std::int32_t k = 0, size = rows.size(); k < size; ++k) {
    const std::int32_t row = rows.row(k);
    if (!rows.exists(row)) {
      is_valid = false;
      return kept;
    }
    const math::Vector3<double> r = rows.displacement(row);
    const double squared = math::dot(r, r);
    near[kept] = row;
    kept += squared < squared_cutoff;
    // Coincident atoms, NaN, infinity.
    is_wrong |= int(!(squared >= 1e-16)) | int(!(squared <= 1e300));
  }
  is_valid = is_wrong == 0;
  return kept;
}

/// Copies the rows that are near to the table, but for uncounted atoms.
template <class Rows>
void fill(NeighborTable &table, Rows rows, const std::int32_t *near, int n_near, int n_elements, bool &is_valid) {
  int kept = 0;
  for (int k = 0; k < n_near; ++k) {
    const math::Vector3<double> r = rows.displacement(near[k]);
    const std::int32_t species = rows.species(near[k]);
    table.x[kept] = r.x;
    table.y[kept] = r.y;
    table.z[kept] = r.z;
    table.squared[kept] = math::dot(r, r);
    table.atom[kept] = near[k];
    table.species[kept] = species;
    is_valid &= species >= -1 && species < n_elements;
    kept += species >= 0;
  }
  table.n = kept;
}

/// Neighbours closer than the cutoff.
template <class Rows>
NeighborTable gather(const Rows &rows, double cutoff, int n_elements, Arena &arena) {
  bool is_valid = true;
  std::int32_t *const near = arena.take<std::int32_t>(static_cast<std::size_t>(rows.size()) + 1);
  const int n_near = near_rows(rows, cutoff * cutoff, near, is_valid);
  NeighborTable table = empty_table(static_cast<std::size_t>(n_near) + 1, arena);
  fill(table, rows, near, n_near, n_elements, is_valid);
  if (!is_valid) rows.check_carefully();
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
Layout assign_slots(const NeighborTable &table, int n_species, double angular_cutoff, int lanes, Arena &arena) {
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
std::size_t n_slots(const AtomView<T> &view, const DescriptorView<T> &descriptor) {
  return static_cast<std::size_t>(view.start[descriptor.n_species]);
}

template <class T>
std::size_t n_triplets(const AtomView<T> &view, const DescriptorView<T> &descriptor) {
  return static_cast<std::size_t>(view.triplet_start[descriptor.n_species * (descriptor.n_species + 1) / 2]);
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

/// Fills the slots with the neighbours' displacements, the rest of them with padding.
template <class T>
AtomView<T> sorted_view(const NeighborTable &table, double cutoff, const DescriptorView<T> &descriptor, int lanes,
                        Arena &arena) {
  const Layout layout = assign_slots(table, descriptor.n_species, double(descriptor.angular_cutoff), lanes, arena);
  AtomView<T> view;
  view.start = layout.start;
  view.n_total = layout.n_total;
  view.n_angular = layout.n_angular;
  view.triplet_start = layout.triplet_start;
  take_arrays(view, n_slots(view, descriptor), n_triplets(view, descriptor), arena);
  for (int k = 0; k < table.n; ++k) {
    const int slot = table.slot[k];
    view.x[slot] = T(table.x[k]);
    view.y[slot] = T(table.y[k]);
    view.z[slot] = T(table.z[k]);
  }
  for (int s = 0; s < descriptor.n_species; ++s) {
    for (int slot = layout.start[s] + layout.n_total[s]; slot < layout.start[s + 1]; ++slot) {
      view.x[slot] = T(2.0 * cutoff);
      view.y[slot] = view.z[slot] = T(0);
    }
  }
  return view;
}

}  // namespace

template <class T>
PannaAtom<T> sorted_atom(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits,
                         const DescriptorView<T> &descriptor, int lanes, Arena &arena, ClosestPair &closest) {
  const NeighborTable table = gather(ListedAtoms{atoms, center, limits}, limits.cutoff, descriptor.n_species, arena);
  measure_closest(table, center, limits.shortest_distances + std::int64_t(atoms.species[center]) * limits.n_elements,
                  closest);
  return {center, table, sorted_view(table, limits.cutoff, descriptor, lanes, arena)};
}

template <class T>
PannaAtom<T> sorted_atom(const PairLists &pairs, std::int64_t center, double cutoff,
                         const DescriptorView<T> &descriptor, int lanes, Arena &arena) {
  const NeighborTable table = gather(ListedPairs{pairs, center}, cutoff, descriptor.n_species, arena);
  return {center, table, sorted_view(table, cutoff, descriptor, lanes, arena)};
}

template <class T>
ContractionViews<T>::ContractionViews(const PannaAtom<T> *atoms, int n_atoms, int n,
                                      const DescriptorView<T> &descriptor, Arena &arena)
    : n_(n), views_(arena.take<AtomView<T>>(static_cast<std::size_t>(n))) {
  std::size_t slots = 0, triplets = 0;
  for (int k = 0; k < n_atoms; ++k) {
    slots = std::max(slots, n_slots(atoms[k].view, descriptor));
    triplets = std::max(triplets, n_triplets(atoms[k].view, descriptor));
  }
  for (int v = 1; v < n; ++v) {
    AtomView<T> &view = views_[v];
    for (T **array : {&view.gradient_x, &view.gradient_y, &view.gradient_z}) *array = arena.take<T>(slots);
    for (T **array : {&view.squared_sine, &view.shell_x, &view.weight}) *array = arena.take<T>(triplets);
  }
}

template <class T>
const AtomView<T> *ContractionViews<T>::of(const PannaAtom<T> &atom) {
  views_[0] = atom.view;
  for (int v = 1; v < n_; ++v) {
    AtomView<T> view = atom.view;
    const AtomView<T> &own = views_[v];
    view.gradient_x = own.gradient_x;
    view.gradient_y = own.gradient_y;
    view.gradient_z = own.gradient_z;
    view.squared_sine = own.squared_sine;
    view.shell_x = own.shell_x;
    view.weight = own.weight;
    views_[v] = view;
  }
  return views_;
}

template <class T>
void ContractionViews<T>::average(const DescriptorView<T> &descriptor) {
  if (n_ == 1) return;
  const std::size_t n = n_slots(views_[0], descriptor);
  const T share = T(1.0 / n_);
  for (T *AtomView<T>::*const array : {&AtomView<T>::gradient_x, &AtomView<T>::gradient_y, &AtomView<T>::gradient_z}) {
    T *const mean = views_[0].*array;
    for (int v = 1; v < n_; ++v) {
      const T *const other = views_[v].*array;
      for (std::size_t k = 0; k < n; ++k) mean[k] += other[k];
    }
    for (std::size_t k = 0; k < n; ++k) mean[k] *= share;
  }
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

template <class T>
void write_gradients(const PannaAtom<T> &atom, double *gradients) {
  for (int k = 0; k < atom.table.n; ++k) {
    const int slot = atom.table.slot[k];
    double *gradient = gradients + 3 * std::int64_t(atom.table.atom[k]);
    gradient[0] = double(atom.view.gradient_x[slot]);
    gradient[1] = double(atom.view.gradient_y[slot]);
    gradient[2] = double(atom.view.gradient_z[slot]);
  }
}

template <class T>
TangentView<T> sorted_tangents(const PannaAtom<T> &atom, const double *tangents, const DescriptorView<T> &descriptor,
                               Arena &arena) {
  TangentView<T> view;
  const std::size_t slots = n_slots(atom.view, descriptor), triplets = n_triplets(atom.view, descriptor);
  for (T **array : {&view.x, &view.y, &view.z, &view.r}) *array = arena.take<T>(slots);
  for (T **array : {&view.cosine, &view.shell_x, &view.weight}) *array = arena.take<T>(triplets);
  for (T *array : {view.x, view.y, view.z}) std::fill_n(array, slots, T(0));
  for (int k = 0; k < atom.table.n; ++k) {
    const int slot = atom.table.slot[k];
    const double *tangent = tangents + 3 * std::int64_t(atom.table.atom[k]);
    view.x[slot] = T(tangent[0]);
    view.y[slot] = T(tangent[1]);
    view.z[slot] = T(tangent[2]);
  }
  return view;
}

#define PANNA_INSTANTIATE(T)                                                                                           \
  template PannaAtom<T> sorted_atom(const Neighborhood &, std::int64_t, const PairLimits &, const DescriptorView<T> &, \
                                    int, Arena &, ClosestPair &);                                                      \
  template PannaAtom<T> sorted_atom(const PairLists &, std::int64_t, double, const DescriptorView<T> &, int, Arena &); \
  template class ContractionViews<T>;                                                                                  \
  template void add_gradients(const PannaAtom<T> &, Results &);                                                        \
  template void write_gradients(const PannaAtom<T> &, double *);                                                       \
  template TangentView<T> sorted_tangents(const PannaAtom<T> &, const double *, const DescriptorView<T> &, Arena &);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

}  // namespace panna_plus
