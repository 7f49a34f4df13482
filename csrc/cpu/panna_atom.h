// One atom on its way through the kernels: its neighbours, sorted into slots, and its triplets.
#pragma once

#include <cstdint>

#include "cpu/arena.h"
#include "cpu/neighbors.h"
#include "cpu/panna_kernels.h"
#include "system/neighborhood.h"
#include "system/results.h"

namespace panna_plus {

/// Neighbours inside the cutoff in the order of the list.
struct NeighborTable {
  int n = 0;
  double *x = nullptr, *y = nullptr, *z = nullptr, *squared = nullptr;  // displacement and its square
  std::int32_t *atom = nullptr, *species = nullptr;
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

/// Adds the gradients that the kernels left in the view to forces and virials.
template <class T>
void add_gradients(const PannaAtom<T> &atom, Results &results);

extern template PannaAtom<float> sorted_atom(const Neighborhood &, std::int64_t, const PairLimits &,
                                             const DescriptorView<float> &, int, Arena &, ClosestPair &);
extern template PannaAtom<double> sorted_atom(const Neighborhood &, std::int64_t, const PairLimits &,
                                              const DescriptorView<double> &, int, Arena &, ClosestPair &);
extern template void add_gradients(const PannaAtom<float> &, Results &);
extern template void add_gradients(const PannaAtom<double> &, Results &);

}  // namespace panna_plus
