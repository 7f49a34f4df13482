#include "neighbor_list.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace driver {
namespace {

/// Cells have at least half the reach as side, so that neighbours are at most this many cells away.
constexpr int cells_away = 2;

/// Images of one atom that are within `reach` of the box.
void add_images(std::int32_t atom, const double *x, const std::array<double, 3> &box, double reach,
                std::vector<Image> &images) {
  int lowest[3], highest[3];
  for (std::size_t a = 0; a < 3; ++a) {
    lowest[a] = int(std::ceil((-reach - x[a]) / box[a]));
    highest[a] = int(std::floor((box[a] + reach - x[a]) / box[a]));
  }
  for (int p = lowest[0]; p <= highest[0]; ++p) {
    for (int q = lowest[1]; q <= highest[1]; ++q) {
      for (int r = lowest[2]; r <= highest[2]; ++r) {
        if (p != 0 || q != 0 || r != 0) images.push_back({atom, {p * box[0], q * box[1], r * box[2]}});
      }
    }
  }
}

}  // namespace

std::int64_t NeighborList::n_pairs() const {
  std::int64_t sum = 0;
  for (const std::int32_t n : n_neighbors_) sum += n;
  return sum;
}

void NeighborList::build(std::vector<double> &rows, const std::array<double, 3> &box, double reach, int n_threads) {
  const std::int64_t n_atoms = std::int64_t(rows.size() / 3);
  make_images(rows, box, reach, n_threads);
  for (const Image &image : images_) {
    for (std::size_t a = 0; a < 3; ++a) rows.push_back(rows[3 * std::size_t(image.owner) + a] + image.shift[a]);
  }
  sort_into_cells(rows, box, reach, n_threads);
  n_neighbors_.resize(std::size_t(n_atoms));
  neighbors_.resize(std::size_t(n_atoms));
  lists_.resize(std::size_t(std::max(n_threads, 1)));
  in_parts(n_atoms, 1000, n_threads, [&](int part, std::int64_t first, std::int64_t end) {
    std::vector<std::int32_t> &list = lists_[std::size_t(part)];
    list.clear();
    for (std::int64_t i = first; i < end; ++i) {
      const std::size_t before = list.size();
      list_neighbors(std::int32_t(i), rows.data() + 3 * i, reach * reach, list);
      n_neighbors_[std::size_t(i)] = std::int32_t(list.size() - before);
    }
    // Only now: the list has moved while it grew.
    const std::int32_t *next = list.data();
    for (std::int64_t i = first; i < end; next += n_neighbors_[std::size_t(i)], ++i) neighbors_[std::size_t(i)] = next;
  });
}

void NeighborList::make_images(const std::vector<double> &atoms, const std::array<double, 3> &box, double reach,
                               int n_threads) {
  std::vector<std::vector<Image>> found(std::size_t(std::max(n_threads, 1)));
  in_parts(std::int64_t(atoms.size() / 3), least_atoms, n_threads, [&](int part, std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      add_images(std::int32_t(i), atoms.data() + 3 * i, box, reach, found[std::size_t(part)]);
    }
  });
  images_.clear();
  for (const std::vector<Image> &part : found) images_.insert(images_.end(), part.begin(), part.end());
}

/// Counting sort; positions lie beside each other as the cells do, the first direction fastest.
void NeighborList::sort_into_cells(const std::vector<double> &rows, const std::array<double, 3> &box, double reach,
                                   int n_threads) {
  origin_ = -reach;
  std::int64_t n_cells = 1;
  for (std::size_t a = 0; a < 3; ++a) {
    const double extent = box[a] + 2.0 * reach;
    n_cells_[a] = std::max(1, int(extent / (reach / cells_away)));
    cell_side_[a] = extent / n_cells_[a];
    n_cells *= n_cells_[a];
  }
  const std::int64_t n_rows = std::int64_t(rows.size() / 3);
  std::vector<std::int32_t> cell_of_row(std::size_t(n_rows), 0);
  in_parts(n_rows, least_atoms, n_threads, [&](int, std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) {
      int cell[3];
      for (std::size_t a = 0; a < 3; ++a) {
        const double x = rows[3 * std::size_t(i) + a];
        cell[a] = std::clamp(int((x - origin_) / cell_side_[a]), 0, n_cells_[a] - 1);
      }
      cell_of_row[std::size_t(i)] = (cell[2] * n_cells_[1] + cell[1]) * n_cells_[0] + cell[0];
    }
  });
  cell_start_.assign(std::size_t(n_cells) + 1, 0);
  for (const std::int32_t cell : cell_of_row) ++cell_start_[std::size_t(cell) + 1];
  for (std::size_t c = 0; c < std::size_t(n_cells); ++c) cell_start_[c + 1] += cell_start_[c];
  sorted_.resize(std::size_t(n_rows));
  std::vector<std::int64_t> next(cell_start_.begin(), cell_start_.end() - 1);
  for (std::size_t i = 0; i < std::size_t(n_rows); ++i) {
    Row &row = sorted_[std::size_t(next[std::size_t(cell_of_row[i])]++)];
    row = {{rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]}, std::int32_t(i)};
  }
}

void NeighborList::list_neighbors(std::int32_t atom, const double *x, double squared_reach,
                                  std::vector<std::int32_t> &list) const {
  int lowest[3], highest[3];
  for (std::size_t a = 0; a < 3; ++a) {
    const int cell = std::clamp(int((x[a] - origin_) / cell_side_[a]), 0, n_cells_[a] - 1);
    lowest[a] = std::max(cell - cells_away, 0);
    highest[a] = std::min(cell + cells_away, n_cells_[a] - 1);
  }
  for (int r = lowest[2]; r <= highest[2]; ++r) {
    for (int q = lowest[1]; q <= highest[1]; ++q) {
      const std::int64_t line = (std::int64_t(r) * n_cells_[1] + q) * n_cells_[0];
      const std::int64_t end = cell_start_[std::size_t(line + highest[0] + 1)];
      for (std::int64_t k = cell_start_[std::size_t(line + lowest[0])]; k < end; ++k) {
        const Row &row = sorted_[std::size_t(k)];
        const double dx = row.x[0] - x[0], dy = row.x[1] - x[1], dz = row.x[2] - x[2];
        if (dx * dx + dy * dy + dz * dz < squared_reach && row.index != atom) list.push_back(row.index);
      }
    }
  }
}

}  // namespace driver
