// Full neighbour lists of periodic atoms, images as rows of their own: what the C interface takes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace driver {

struct Image {
  std::int32_t owner;
  std::array<double, 3> shift;  // its position minus that of its owner
};

class NeighborList {
 public:
  /// Lists everything within `reach` of every atom. `rows` holds the atoms, inside the box; images are added behind.
  void build(std::vector<double> &rows, const std::array<double, 3> &box, double reach, int n_threads);

  const std::vector<Image> &images() const { return images_; }
  /// (atoms)
  const std::vector<std::int32_t> &n_neighbors() const { return n_neighbors_; }
  const std::vector<const std::int32_t *> &neighbors() const { return neighbors_; }
  std::int64_t n_pairs() const;

 private:
  void make_images(const std::vector<double> &atoms, const std::array<double, 3> &box, double reach, int n_threads);
  void sort_into_cells(const std::vector<double> &rows, const std::array<double, 3> &box, double reach,
                       int n_threads);
  void list_neighbors(std::int32_t atom, const double *x, double squared_reach, std::vector<std::int32_t> &list) const;

  struct Row {
    double x[3];
    std::int32_t index;
  };

  std::vector<Image> images_;
  std::vector<std::int32_t> n_neighbors_;
  std::vector<const std::int32_t *> neighbors_;
  std::vector<std::vector<std::int32_t>> lists_;  // one per thread
  std::array<int, 3> n_cells_{};
  std::array<double, 3> cell_side_{};
  double origin_ = 0.0;
  std::vector<std::int64_t> cell_start_;
  std::vector<Row> sorted_;
};

}  // namespace driver
