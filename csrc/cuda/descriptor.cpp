#include "cuda/descriptor.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "math/angular_window.h"

namespace panna_plus::cuda {

/// Angular functions as pairs of a shell and a window.
template <class T>
struct Descriptor<T>::Grid {
  std::vector<math::Shell<double>> shells;
  std::vector<math::AngularWindow> windows;
  std::vector<std::pair<int, int>> functions;  // (n_angular) shell and window
};

namespace {

/// Place of `value` in `list`, where it is appended if new.
template <class Value>
int place_in(std::vector<Value> &list, const Value &value) {
  const auto found = std::find(list.begin(), list.end(), value);
  if (found != list.end()) return static_cast<int>(found - list.begin());
  list.push_back(value);
  return static_cast<int>(list.size()) - 1;
}

/// Angles theta and pi - theta share their sine but for rounding.
bool share_sine(double a, double b) { return std::fabs(a - b) <= 1e-14 * std::fabs(a); }

/// Windows in an order that brings those with a common sine together.
std::vector<int> paired_order(const std::vector<math::AngularWindow> &windows) {
  std::vector<int> order(windows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const double x = windows[std::size_t(a)].softening, y = windows[std::size_t(b)].softening;
    return !share_sine(x, y) && x < y;
  });
  return order;
}

/// Windows `order[first]`, ... into a tile; what is left over repeats the last one.
template <class T, int N>
void set_windows(const std::vector<math::AngularWindow> &windows, const std::vector<int> &order, std::size_t first,
                 AngularTile<T, N, N> &tile) {
  tile.is_paired = true;
  tile.has_fraction = false;
  for (std::size_t b = 0; b < N; ++b) {
    const math::AngularWindow &window = windows[std::size_t(order[std::min(first + b, order.size() - 1)])];
    const double whole = std::floor(window.zeta);
    tile.offset[b] = T(window.offset);
    tile.along_cosine[b] = T(window.along_cosine);
    tile.along_sine[b] = T(window.along_sine);
    tile.slope_along_cosine[b] = T(window.zeta * window.along_cosine);
    tile.slope_along_sine[b] = T(window.zeta * window.along_sine);
    tile.softening[b] = T(window.softening);
    tile.whole[b] = static_cast<int>(whole);
    tile.fraction[b] = T(window.zeta - whole);
    tile.has_fraction |= window.zeta > whole;
    if (b % 2 == 1) tile.is_paired &= share_sine(double(tile.softening[b - 1]), double(tile.softening[b]));
  }
  const bool is_common = std::all_of(tile.whole, tile.whole + N, [&](int n) { return n == tile.whole[0]; });
  tile.common_whole = is_common ? tile.whole[0] : 0;
}

}  // namespace

template <class T>
Descriptor<T>::Descriptor(const PannaParameters &parameters, cudaStream_t stream)
    : is_bp_(parameters.descriptor == PannaDescriptor::bp),
      cutoff_(parameters.cutoff()),
      radial_cutoff_(parameters.radial.cutoff),
      angular_cutoff_(parameters.angular.cutoff) {
  std::vector<math::Shell<T>> radial;
  for (std::size_t f = 0; f < parameters.radial.eta.size(); ++f) {
    radial.push_back(math::converted<T>(math::gaussian_shell(parameters.radial.eta[f], parameters.radial.centers[f])));
  }
  radial_ = on_device(radial, stream);
  view_ = {parameters.n_elements, parameters.n_radial(), parameters.n_angular(),
           parameters.n_features(), T(angular_cutoff_), radial_.data()};
  if (parameters.n_angular() == 0) return;
  const Grid grid = is_bp_ ? bp_grid(parameters.angular) : mbp_grid(parameters.angular);
  if (grid.shells.size() > narrow_tile && grid.windows.size() > narrow_tile) {
    add_tiles(grid, wide_tiles_, stream);
  } else {
    add_tiles(grid, narrow_tiles_, stream);
  }
}

template <class T>
typename Descriptor<T>::Grid Descriptor<T>::mbp_grid(const PannaAngular &angular) const {
  Grid grid;
  for (std::size_t a = 0; a < angular.eta.size(); ++a) {
    grid.shells.push_back(math::gaussian_shell(angular.eta[a], angular.centers[a]));
    for (std::size_t b = 0; b < angular.theta.size(); ++b) grid.functions.push_back({int(a), int(b)});
  }
  for (std::size_t b = 0; b < angular.theta.size(); ++b) {
    grid.windows.push_back(math::mbp_window(angular.theta[b], angular.zeta[b], angular.epsilon));
  }
  return grid;
}

/// The functions of a bp descriptor usually form a full grid of eta times (zeta, lambda).
template <class T>
typename Descriptor<T>::Grid Descriptor<T>::bp_grid(const PannaAngular &angular) const {
  Grid grid;
  std::vector<double> eta;
  std::vector<std::pair<double, double>> windows;
  for (std::size_t f = 0; f < angular.eta.size(); ++f) {
    const int shell = place_in(eta, angular.eta[f]);
    grid.functions.push_back({shell, place_in(windows, {angular.zeta[f], angular.lambda[f]})});
  }
  for (const double value : eta) grid.shells.push_back(math::exponential_shell(value));
  for (const auto &[zeta, lambda] : windows) grid.windows.push_back(math::bp_window(lambda, zeta));
  return grid;
}

template <class T>
template <int N>
void Descriptor<T>::add_tiles(const Grid &grid, std::vector<AngularTile<T, N, N>> &tiles, cudaStream_t stream) {
  const std::vector<int> order = paired_order(grid.windows);
  const std::size_t n_shells = grid.shells.size(), n_windows = grid.windows.size();
  for (std::size_t a0 = 0; a0 < n_shells; a0 += N) {
    for (std::size_t b0 = 0; b0 < n_windows; b0 += N) {
      AngularTile<T, N, N> tile{};
      set_windows(grid.windows, order, b0, tile);
      std::vector<int> first{0}, functions;
      for (std::size_t a = a0; a < a0 + N; ++a) {
        tile.shells[a - a0] = math::converted<T>(grid.shells[std::min(a, n_shells - 1)]);
        for (std::size_t b = b0; b < b0 + N; ++b) {
          for (std::size_t f = 0; f < grid.functions.size() && a < n_shells && b < n_windows; ++f) {
            if (grid.functions[f] == std::make_pair(int(a), order[b])) functions.push_back(int(f));
          }
          first.push_back(int(functions.size()));
        }
      }
      tile.first = integers_.emplace_back(on_device(first, stream)).data();
      tile.functions = integers_.emplace_back(on_device(functions, stream)).data();
      tiles.push_back(tile);
    }
  }
}

template <class T>
SortLimits<T> Descriptor<T>::limits() const {
  SortLimits<T> limits{};
  limits.squared_cutoff = cutoff_ * cutoff_;
  limits.squared_angular_cutoff = view_.n_angular > 0 ? angular_cutoff_ * angular_cutoff_ : 0.0;
  limits.radial_cutoff = T(radial_cutoff_);
  limits.angular_cutoff = T(angular_cutoff_);
  return limits;
}

template <class T>
std::size_t Descriptor<T>::bytes() const {
  std::size_t total = radial_.bytes();
  for (const DeviceArray<int> &array : integers_) total += array.bytes();
  return total;
}

/// Calls visit(tile, is_first) for all tiles.
template <class T>
template <class Visit>
void Descriptor<T>::for_each_tile(Visit visit) const {
  bool is_first = true;
  for (const auto &tile : wide_tiles_) visit(tile, std::exchange(is_first, false));
  for (const auto &tile : narrow_tiles_) visit(tile, std::exchange(is_first, false));
}

template <class T>
void Descriptor<T>::describe(const SlotView<T> &slots, T *features, cudaStream_t stream) const {
  describe_radial(slots, view_, features, stream);
  for_each_tile([&](const auto &tile, bool) { describe_angular(is_bp_, slots, view_, tile, features, stream); });
}

template <class T>
void Descriptor<T>::tangent(const SlotView<T> &slots, const T *tangents, T *features, cudaStream_t stream) const {
  tangent_radial(slots, view_, tangents, features, stream);
  for_each_tile(
      [&](const auto &tile, bool) { tangent_angular(is_bp_, slots, view_, tile, tangents, features, stream); });
}

template <class T>
void Descriptor<T>::contract(const SlotView<T> &slots, const T *g, T *slot_gradients, T *gradients, double *sums,
                             cudaStream_t stream) const {
  for_each_tile([&](const auto &tile, bool is_first) {
    contract_angular(is_bp_, slots, view_, tile, g, !is_first, slot_gradients, stream);
  });
  contract_radial(slots, view_, g, view_.n_angular > 0 ? slot_gradients : nullptr, gradients, sums, stream);
}

template class Descriptor<float>;
template class Descriptor<double>;

}  // namespace panna_plus::cuda
