// One atom on its way through the kernels: its neighbours, sorted into slots, and its triplets.
#pragma once

#include <cstdint>

#include "cpu/arena.h"
#include "cpu/pair_lists.h"
#include "cpu/panna_kernels.h"
#include "system/neighborhood.h"
#include "system/neighbors.h"
#include "system/results.h"

namespace panna_plus {

/// Neighbours inside the cutoff in the order of the list.
struct NeighborTable {
  int n = 0;
  double *x = nullptr, *y = nullptr, *z = nullptr, *squared = nullptr;  // displacement and its square
  std::int32_t *atom = nullptr;  // its row: of the positions, or of the centre's pairs
  std::int32_t *species = nullptr;
  std::int32_t *slot = nullptr;  // where it lies in the AtomView
};

template <class T>
struct PannaAtom {
  std::int64_t center = 0;
  NeighborTable table;
  AtomView<T> view;
};

/// Gathers and sorts the neighbours of `center`; all memory is the arena's. Throws like gather_neighbors.
template <class T>
PannaAtom<T> sorted_atom(const Neighborhood &atoms, std::int64_t center, const PairLimits &limits,
                         const DescriptorView<T> &descriptor, int lanes, Arena &arena, ClosestPair &closest);

/// The same for the neighbours in a list of displacements, whose species are valid.
template <class T>
PannaAtom<T> sorted_atom(const PairLists &pairs, std::int64_t center, double cutoff,
                         const DescriptorView<T> &descriptor, int lanes, Arena &arena);

/// Views of one atom after the other for the contraction of n energies at once; all memory is the arena's and serves
/// any of `atoms`.
template <class T>
class ContractionViews {
 public:
  ContractionViews(const PannaAtom<T> *atoms, int n_atoms, int n, const DescriptorView<T> &descriptor, Arena &arena);

  /// (n) views of an atom; the first is its own.
  const AtomView<T> *of(const PannaAtom<T> &atom);
  /// Replaces the gradients of the first view by the mean of all.
  void average(const DescriptorView<T> &descriptor);

 private:
  int n_;
  AtomView<T> *views_;
};

/// Adds the gradients that the kernels left in the view to forces and virials.
template <class T>
void add_gradients(const PannaAtom<T> &atom, Results &results);

/// Writes the gradients of the centre's pairs (n_neighbors, 3); those beyond the cutoff are left alone.
template <class T>
void write_gradients(const PannaAtom<T> &atom, double *gradients);

/// The tangents of the centre's pairs, from those of all its displacements (n_neighbors, 3).
template <class T>
TangentView<T> sorted_tangents(const PannaAtom<T> &atom, const double *tangents, const DescriptorView<T> &descriptor,
                               Arena &arena);

}  // namespace panna_plus
