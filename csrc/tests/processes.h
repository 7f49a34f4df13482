// Several processes that evaluate one system together, played by threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "energy_terms_systems.h"
#include "system/exchange.h"

namespace panna_plus::test {

/// What several threads of a test, one for each process, sum up together.
class Meeting {
 public:
  explicit Meeting(int n) : n_(n) {}

  void sum(double *values, int n) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (n_here_ == 0) total_.assign(std::size_t(n), 0.0);
    check(total_.size() == std::size_t(n), "processes make different calls");
    for (int k = 0; k < n; ++k) total_[std::size_t(k)] += values[k];
    const int round = round_;
    if (++n_here_ == n_) {
      n_here_ = 0;
      ++round_;
      result_ = total_;
      changed_.notify_all();
    } else {
      check(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return round_ != round; }),
            "a process misses a call");
    }
    std::copy_n(result_.data(), n, values);
  }

 private:
  int n_;
  int n_here_ = 0, round_ = 0;
  Numbers total_, result_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// One process among several; its images are those of atoms of any of them. All values travel through sums.
class MeetingExchange : public Exchange {
 public:
  MeetingExchange(Meeting &meeting, bool has_images, std::vector<std::int32_t> global, std::int64_t n_global,
                  std::size_t n_owned)
      : meeting_(meeting),
        has_images_(has_images),
        global_(std::move(global)),
        n_global_(n_global),
        n_owned_(n_owned) {}

  bool has_images() const override { return has_images_; }
  void to_images(double *values, int width) const override {
    Numbers all(std::size_t(n_global_ * width), 0.0);
    for (std::size_t row = 0; row < n_owned_; ++row) copy(values, row, all.data(), width, false);
    meeting_.sum(all.data(), static_cast<int>(all.size()));
    for (std::size_t row = n_owned_; row < global_.size(); ++row) copy(values, row, all.data(), width, true);
    ++n_calls;
  }
  void sum(double *values, int n) const override {
    meeting_.sum(values, n);
    ++n_calls;
  }

  mutable int n_calls = 0;

 private:
  void copy(double *values, std::size_t row, double *all, int width, bool back) const {
    double *mine = values + row * std::size_t(width), *theirs = all + std::ptrdiff_t(global_[row]) * width;
    std::copy_n(back ? theirs : mine, width, back ? mine : theirs);
  }

  Meeting &meeting_;
  bool has_images_;
  std::vector<std::int32_t> global_;
  std::int64_t n_global_;
  std::size_t n_owned_;
};

/// The rows of `whole` with the atoms `mine` first, as one process sees them: the others are images of theirs.
inline System part_of(const System &whole, const std::vector<std::int32_t> &mine, std::vector<std::int32_t> &global) {
  const std::int32_t n = static_cast<std::int32_t>(whole.cluster.n_atoms());
  global = mine;
  for (std::int32_t row = 0; row < n && !mine.empty(); ++row) {
    if (std::find(mine.begin(), mine.end(), row) == mine.end()) global.push_back(row);
  }
  System part;
  part.total_charge = whole.total_charge;
  Cluster &c = part.cluster;
  for (std::size_t k = 0; k < global.size(); ++k) {
    const std::size_t row = std::size_t(global[k]);
    c.species.push_back(whole.cluster.species[row]);
    c.positions.insert(c.positions.end(), whole.cluster.positions.begin() + std::ptrdiff_t(3 * row),
                       whole.cluster.positions.begin() + std::ptrdiff_t(3 * row + 3));
    part.features.insert(part.features.end(), whole.features.begin() + std::ptrdiff_t(row * n_features),
                         whole.features.begin() + std::ptrdiff_t((row + 1) * n_features));
  }
  const int n_rows = static_cast<int>(global.size());
  for (int i = 0; i < n_rows; ++i) {
    for (int j = 0; j < n_rows; ++j) {
      if (j != i) c.list.push_back(j);
    }
  }
  for (int i = 0; i < n_rows; ++i) c.neighbors.push_back(c.list.data() + std::ptrdiff_t(i) * (n_rows - 1));
  c.n_neighbors.assign(global.size(), n_rows - 1);
  for (std::size_t k = 0; k < mine.size(); ++k) c.centers.push_back(static_cast<std::int32_t>(k));
  return part;
}

}  // namespace panna_plus::test
