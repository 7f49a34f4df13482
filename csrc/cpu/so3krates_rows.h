// Which rows of atoms each layer works on, and the pairs between them.
//
// The features that layer t gives (t = 1 ... T) are wanted for rows 0 ... n_wanted[t] - 1. Centres come first. Where
// images learn from their atoms that is all; else further rows follow that the centres depend on.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/aligned_array.h"
#include "cpu/so3krates_kernels.h"
#include "math/envelope.h"
#include "system/neighborhood.h"
#include "system/neighbors.h"
#include "system/results.h"

namespace panna_plus {

struct RowLimits {
  int n_layers = 0, n_elements = 0;
  math::Envelope envelope;
  double long_range = 0.0;  // angstrom: rows so near to centres have final features; 0: only centres
  const double *shortest_distances = nullptr;
  double spacing = 0.0;  // of the radial tables
  int n_knots = 0;
  bool is_directed = false;  // each pair is listed at both its rows, each with its own gradient
};

/// The pairs of one thread.
template <class T>
class PairArrays {
 public:
  void clear();
  void add(std::int32_t first, std::int32_t second, bool is_shared, const double r[3], double distance,
           const RowLimits &limits);
  /// To be called after the last pair.
  PairsView<T> view();

  std::int64_t size() const { return static_cast<std::int64_t>(first_.size()); }
  /// Number of pairs, from the first one on, whose first row is below n_rows.
  std::int64_t count_below(std::int64_t n_rows) const;
  const double *displacement(std::int64_t pair) const { return displacements_.data() + 3 * pair; }
  const double *gradient(std::int64_t pair) const { return gradients_.data() + 3 * pair; }
  std::int32_t first(std::int64_t pair) const { return first_[static_cast<std::size_t>(pair)]; }
  std::int32_t second(std::int64_t pair) const { return second_[static_cast<std::size_t>(pair)]; }

 private:
  std::vector<std::int32_t> first_, second_, knot_;
  std::vector<std::uint8_t> is_shared_;
  std::vector<T> x_, y_, z_, inverse_distance_, envelope_, envelope_slope_, fraction_;
  std::vector<double> displacements_, gradients_;
};

template <class T>
class So3kratesRows {
 public:
  /// A Failure if something is wrong with atoms or lists. All threads of an evaluation work on pairs of their own.
  void build(const Neighborhood &atoms, const RowLimits &limits, ClosestPair &closest);

  std::int64_t n_rows() const { return static_cast<std::int64_t>(atoms_.size()); }
  std::int64_t n_centers() const { return n_centers_; }
  std::int64_t n_wanted(int layer) const { return n_wanted_[static_cast<std::size_t>(layer)]; }
  /// Rows whose features enter layer t.
  std::int64_t n_inputs(int layer) const { return has_images_ || layer == 1 ? n_rows() : n_wanted(layer - 1); }
  /// Rows that have pairs.
  std::int64_t n_listed() const { return n_wanted(1); }
  /// Whether there are rows whose features come from an exchange.
  bool has_images() const { return has_images_; }
  const std::vector<std::int32_t> &atoms() const { return atoms_; }
  const std::vector<std::int32_t> &species() const { return species_; }
  bool has_neighbors(std::int64_t row) const { return has_neighbors_[static_cast<std::size_t>(row)]; }
  /// The last layer after which the centres' energy depends on a row; null: as n_wanted says.
  const std::int32_t *levels() const { return levels_.empty() ? nullptr : levels_.data(); }
  int n_threads() const { return static_cast<int>(found_.size()); }
  PairArrays<T> &pairs(int thread) { return pairs_[static_cast<std::size_t>(thread)]; }

 private:
  struct Found {
    std::int32_t row;
    NeighborRow neighbor;
  };

  std::int32_t row_of(std::int64_t atom, std::int32_t species);
  void take_centers(const Neighborhood &atoms, const RowLimits &limits);
  void take_long_range(const Neighborhood &atoms, const RowLimits &limits);
  void find_pairs(const Neighborhood &atoms, const RowLimits &limits, std::int64_t begin, ClosestPair &closest);
  void name_neighbors(const Neighborhood &atoms, const std::vector<std::size_t> &begin);
  void find_levels(int n_layers);
  void keep_pairs(const RowLimits &limits);

  std::int64_t n_centers_ = 0;
  bool has_images_ = false;
  std::vector<std::int64_t> n_wanted_;
  std::vector<std::int32_t> atoms_, species_, row_of_atom_, thread_of_row_, levels_;
  std::vector<std::uint8_t> has_neighbors_;
  std::vector<std::vector<Found>> found_;  // by thread
  std::vector<PairArrays<T>> pairs_;
};

extern template class So3kratesRows<float>;
extern template class So3kratesRows<double>;

}  // namespace panna_plus
