#include "cpu/energy_terms_neighbors.h"

#include <algorithm>

#include "system/neighbors.h"

namespace panna_plus {
namespace {

// Closer than that atoms coincide: gather_neighbors says so.
constexpr double smallest_squared_distance = 1e-16;

/// The full inspection of a neighbour list in which something is wrong.
void find_fault(const Neighborhood &atoms, std::int64_t center, const TermReach &reach) {
  const std::vector<double> shortest(static_cast<std::size_t>(reach.n_elements * reach.n_elements), 0.0);
  std::vector<NeighborRow> rows;
  ClosestPair closest;
  const double cutoff = std::max(reach.long_range, reach.repulsion);
  gather_neighbors(atoms, center, {cutoff, reach.n_elements, shortest.data()}, rows, closest);
}

}  // namespace

template <class T>
void NeighborTile<T>::make_room(int n) {
  const std::size_t size = static_cast<std::size_t>(n);
  if (numbers_.size() < 6 * size) numbers_.resize(6 * size);
  T **columns[] = {&view_.x, &view_.y, &view_.z, &view_.charge, &view_.polarizability, &view_.strength};
  for (std::size_t k = 0; k < 6; ++k) *columns[k] = numbers_.data() + k * size;
}

template <class T>
void NeighborTile<T>::pad(int n, int lanes, double far) {
  view_.n = (n + lanes - 1) / lanes * lanes;
  for (int k = n; k < view_.n; ++k) {
    view_.x[k] = T(far);
    view_.y[k] = view_.z[k] = view_.charge[k] = view_.strength[k] = T(0);
    view_.polarizability[k] = T(1);
  }
}

template <class T>
void NeighborTile<T>::gather(const Neighborhood &atoms, std::int64_t center, const AtomRecord<T> *records,
                             const TermReach &reach, const T *strengths, int lanes) {
  const std::int32_t *list = atoms.neighbors[center];
  const std::int32_t count = atoms.n_neighbors[center];
  make_room(count + lanes);
  repelled_.clear();
  const AtomRecord<T> me = records[center];
  const double far = reach.long_range * reach.long_range, near = reach.repulsion * reach.repulsion;
  double smallest = 1.0;
  bool is_sound = true;
  int n = 0;
  for (std::int32_t k = 0; k < count; ++k) {
    const std::int64_t j = list[k] & atoms.neighbor_mask;
    if (j < 0 || j >= atoms.n_atoms) {
      is_sound = false;
      break;
    }
    const AtomRecord<T> &other = records[j];
    const double x = other.x - me.x, y = other.y - me.y, z = other.z - me.z;
    const double squared = x * x + y * y + z * z;
    // Written in any case, kept if near enough: a branch on it would be guessed wrong too often.
    view_.x[n] = T(x);
    view_.y[n] = T(y);
    view_.z[n] = T(z);
    view_.charge[n] = other.charge;
    view_.polarizability[n] = other.polarizability;
    view_.strength[n] = strengths[other.species];
    n += squared < far;
    smallest = std::min(smallest, squared);
    if (squared < near) repelled_.push_back(j);
  }
  if (!is_sound || smallest < smallest_squared_distance) find_fault(atoms, center, reach);
  pad(n, lanes, reach.long_range);
}

template class NeighborTile<float>;
template class NeighborTile<double>;

}  // namespace panna_plus
