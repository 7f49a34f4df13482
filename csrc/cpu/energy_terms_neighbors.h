// What energy terms need of the neighbours of one centre, in the layout of their kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/energy_terms_kernels.h"
#include "system/neighborhood.h"

namespace panna_plus {

/// One atom row in one piece: neighbours are looked up in no order.
template <class T>
struct AtomRecord {
  double x, y, z;  // infinite for atoms that are not seen
  T charge, polarizability;
  std::int32_t species;
};

/// How far neighbours are looked for, angstrom; 0: not at all.
struct TermReach {
  double long_range = 0.0, repulsion = 0.0;
  int n_elements = 0;
};

template <class T>
class NeighborTile {
 public:
  /// Fills the tile with the neighbours of a centre within the long range, and the list of those that it repels.
  /// `strengths` (S) are those of pairs with the centre's species. A Failure as of gather_neighbors.
  void gather(const Neighborhood &atoms, std::int64_t center, const AtomRecord<T> *records, const TermReach &reach,
              const T *strengths, int lanes);

  const LongRangeNeighbors<T> &long_range() const { return view_; }
  const std::vector<std::int64_t> &repelled() const { return repelled_; }

 private:
  void make_room(int n);
  void pad(int n, int lanes, double far);

  std::vector<T> numbers_;
  std::vector<std::int64_t> repelled_;
  LongRangeNeighbors<T> view_;
};

extern template class NeighborTile<float>;
extern template class NeighborTile<double>;

}  // namespace panna_plus
