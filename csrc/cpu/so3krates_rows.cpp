#include "cpu/so3krates_rows.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "system/failure.h"
#include "system/threads.h"

namespace panna_plus {
namespace {

constexpr std::size_t padding = 16;  // kernels read whole tiles

/// One of a vector and its opposite.
bool is_forward(const double r[3]) {
  for (int a = 0; a < 3; ++a) {
    if (std::fabs(r[a]) > 1e-6) return r[a] > 0.0;
  }
  return true;
}

/// Part number `rank` of n numbers.
std::int64_t part_begin(std::int64_t n, int rank, int n_parts) { return n * rank / n_parts; }

}  // namespace

template <class T>
void PairArrays<T>::clear() {
  for (auto *each : {&first_, &second_, &knot_}) each->clear();
  for (auto *each : {&x_, &y_, &z_, &inverse_distance_, &envelope_, &envelope_slope_, &fraction_}) each->clear();
  is_shared_.clear();
  displacements_.clear();
}

template <class T>
void PairArrays<T>::add(std::int32_t first, std::int32_t second, bool is_shared, const double r[3], double distance,
                        const RowLimits &limits) {
  const math::ValueSlope<double> envelope = math::envelope(limits.envelope, distance);
  const double place = distance / limits.spacing, inverse = 1.0 / distance;
  const int knot = std::min(static_cast<int>(place), limits.n_knots - 2);
  first_.push_back(first);
  second_.push_back(second);
  is_shared_.push_back(is_shared);
  x_.push_back(T(r[0] * inverse));
  y_.push_back(T(r[1] * inverse));
  z_.push_back(T(r[2] * inverse));
  inverse_distance_.push_back(T(inverse));
  envelope_.push_back(T(envelope.value));
  envelope_slope_.push_back(T(envelope.slope));
  knot_.push_back(knot);
  fraction_.push_back(T(place - knot));
  displacements_.insert(displacements_.end(), r, r + 3);
}

template <class T>
PairsView<T> PairArrays<T>::view() {
  const std::size_t n = first_.size();
  gradients_.assign(3 * n, 0.0);
  for (auto *each : {&x_, &y_, &z_, &inverse_distance_, &envelope_, &envelope_slope_, &fraction_}) {
    each->resize(n + padding, T(0));
  }
  return {size(),         first_.data(), second_.data(),           is_shared_.data(), x_.data(),
          y_.data(),      z_.data(),     inverse_distance_.data(), envelope_.data(),  envelope_slope_.data(),
          knot_.data(),   fraction_.data(), gradients_.data()};
}

template <class T>
std::int64_t PairArrays<T>::count_below(std::int64_t n_rows) const {
  return std::lower_bound(first_.begin(), first_.end(), n_rows) - first_.begin();
}

template <class T>
std::int32_t So3kratesRows<T>::row_of(std::int64_t atom, std::int32_t species) {
  std::int32_t &row = row_of_atom_[static_cast<std::size_t>(atom)];
  if (row < 0) {
    row = static_cast<std::int32_t>(atoms_.size());
    atoms_.push_back(static_cast<std::int32_t>(atom));
    species_.push_back(species);
  }
  return row;
}

template <class T>
void So3kratesRows<T>::take_centers(const Neighborhood &atoms, const RowLimits &limits) {
  atoms_.clear();
  species_.clear();
  row_of_atom_.assign(static_cast<std::size_t>(atoms.n_atoms), -1);
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const int species = center_species(atoms, atoms.centers[n], limits.n_elements);
    if (species >= 0) row_of(atoms.centers[n], species);
  }
  n_centers_ = n_rows();
}

/// Rows near to centres that have final features too.
template <class T>
void So3kratesRows<T>::take_long_range(const Neighborhood &atoms, const RowLimits &limits) {
  std::vector<NeighborRow> neighbors;
  ClosestPair ignored;
  const PairLimits far{limits.long_range, limits.n_elements, limits.shortest_distances};
  for (std::int64_t row = 0; row < n_centers_; ++row) {
    gather_neighbors(atoms, atoms_[static_cast<std::size_t>(row)], far, neighbors, ignored);
    for (const NeighborRow &each : neighbors) row_of(each.atom, each.species);
  }
}

/// Pairs of the rows from `begin` on, shared out among the threads.
template <class T>
void So3kratesRows<T>::find_pairs(const Neighborhood &atoms, const RowLimits &limits, std::int64_t begin,
                                  ClosestPair &closest) {
  const int n_threads = this->n_threads();
  const std::int64_t n = n_rows() - begin;
  const PairLimits near{limits.envelope.cutoff, limits.n_elements, limits.shortest_distances};
  thread_of_row_.resize(atoms_.size());
  has_neighbors_.resize(atoms_.size());
  std::vector<ClosestPair> closest_of(found_.size()), ignored(found_.size());
  run_in_threads(n_threads, [&](int rank) {
    std::vector<NeighborRow> neighbors;
    std::vector<Found> &mine = found_[static_cast<std::size_t>(rank)];
    for (std::int64_t k = part_begin(n, rank, n_threads); k < part_begin(n, rank + 1, n_threads); ++k) {
      const std::size_t row = static_cast<std::size_t>(begin + k);
      // The closest pair is one of centres, not of what they depend on.
      auto &pair = (begin + k < n_centers_ ? closest_of : ignored)[static_cast<std::size_t>(rank)];
      gather_neighbors(atoms, atoms_[row], near, neighbors, pair);
      thread_of_row_[row] = rank;
      has_neighbors_[row] = !neighbors.empty();
      for (const NeighborRow &each : neighbors) mine.push_back({static_cast<std::int32_t>(row), each});
    }
  });
  for (const ClosestPair &each : closest_of) {
    if (each.ratio < closest.ratio) closest = each;
  }
}

/// Turns atoms into rows for the pairs that each thread has found from `begin` on.
template <class T>
void So3kratesRows<T>::name_neighbors(const Neighborhood &atoms, const std::vector<std::size_t> &begin) {
  const std::int32_t *const owners = atoms.exchange ? atoms.exchange->owners() : nullptr;
  for (std::size_t rank = 0; rank < found_.size(); ++rank) {
    for (std::size_t k = begin[rank]; k < found_[rank].size(); ++k) {
      NeighborRow &neighbor = found_[rank][k].neighbor;
      if (!owners) {
        neighbor.atom = row_of(neighbor.atom, neighbor.species);
        continue;
      }
      const std::int32_t row = row_of_atom_[static_cast<std::size_t>(owners[neighbor.atom])];
      require(row >= 0, "atom row " + std::to_string(neighbor.atom) + " is a neighbour and an image of row " +
                            std::to_string(owners[neighbor.atom]) +
                            ", which is no centre: with messages every atom must be a centre");
      neighbor.atom = row;
    }
  }
}

template <class T>
void So3kratesRows<T>::find_levels(int n_layers) {
  levels_.assign(atoms_.size(), -1);
  std::fill_n(levels_.begin(), n_centers_, n_layers);
  for (int layer = n_layers; layer > 0; --layer) {
    for (const std::vector<Found> &mine : found_) {
      for (const Found &each : mine) {
        std::int32_t &level = levels_[static_cast<std::size_t>(each.neighbor.atom)];
        if (levels_[static_cast<std::size_t>(each.row)] >= layer && level < layer - 1) level = layer - 1;
      }
    }
  }
}

template <class T>
void So3kratesRows<T>::keep_pairs(const RowLimits &limits) {
  pairs_.resize(std::max(pairs_.size(), found_.size()));
  run_in_threads(n_threads(), [&](int rank) {
    PairArrays<T> &mine = pairs_[static_cast<std::size_t>(rank)];
    mine.clear();
    for (const Found &each : found_[static_cast<std::size_t>(rank)]) {
      const std::int32_t i = each.row, j = static_cast<std::int32_t>(each.neighbor.atom);
      const bool is_shared =
          !limits.is_directed && j < n_listed() && thread_of_row_[static_cast<std::size_t>(j)] == rank;
      if (is_shared && (j < i || (j == i && !is_forward(each.neighbor.r)))) continue;
      mine.add(i, j, is_shared, each.neighbor.r, each.neighbor.distance, limits);
    }
  });
}

template <class T>
void So3kratesRows<T>::build(const Neighborhood &atoms, const RowLimits &limits, ClosestPair &closest) {
  const bool is_deep = !atoms.exchange || !atoms.exchange->has_images();
  take_centers(atoms, limits);
  const std::int64_t n_threads = std::max<std::int64_t>(1, std::min<std::int64_t>(atoms.n_threads, n_centers_ / 8));
  found_.resize(static_cast<std::size_t>(n_threads));
  for (std::vector<Found> &mine : found_) mine.clear();
  thread_of_row_.clear();
  has_neighbors_.clear();
  levels_.clear();
  if (is_deep && limits.long_range > 0.0) take_long_range(atoms, limits);
  n_wanted_.assign(static_cast<std::size_t>(limits.n_layers) + 1, n_rows());
  std::int64_t begin = 0;
  for (int layer = limits.n_layers; layer > 0; --layer) {
    std::vector<std::size_t> found_before;
    for (const std::vector<Found> &mine : found_) found_before.push_back(mine.size());
    const std::int64_t end = n_rows();
    find_pairs(atoms, limits, begin, closest);
    name_neighbors(atoms, found_before);
    begin = end;
    if (!is_deep) break;
    n_wanted_[static_cast<std::size_t>(layer) - 1] = n_rows();
    if (begin == n_rows()) {
      std::fill_n(n_wanted_.begin(), layer, n_rows());
      break;
    }
  }
  has_images_ = !is_deep && !atoms.exchange->owners();
  if (is_deep && n_rows() > n_centers_) find_levels(limits.n_layers);
  keep_pairs(limits);
}

template class PairArrays<float>;
template class PairArrays<double>;
template class So3kratesRows<float>;
template class So3kratesRows<double>;

}  // namespace panna_plus
