#include "cpu/panna_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace panna_plus {
PANNA_DECLARE_COMPILED(PannaKernels, panna)

namespace {

constexpr double log2_e = 1.44269504088896340736;

int rounded_up(int n, int tile) { return (n + tile - 1) / tile * tile; }

/// Distance between neighbours of equispaced values with one width, or 0.
double common_step(const std::vector<double> &eta, const std::vector<double> &centers) {
  if (centers.size() < 3) return 0.0;
  const double step = (centers.back() - centers.front()) / double(centers.size() - 1);
  for (std::size_t a = 0; a < centers.size(); ++a) {
    if (eta[a] != eta[0] || std::fabs(centers[a] - centers[0] - step * double(a)) > 1e-12) return 0.0;
  }
  return step > 0.0 ? step : 0.0;
}

/// How far the recursion of Gaussians may go from the one that was exponentiated (see ShellView): q and
/// the ratios must stay in range, and a function that underflows must not have taken one with it that is
/// larger than the rounding errors of the sums (1e-12 of the maximum in float).
template <class T>
int recursion_reach(double eta, double step, double largest_x) {
  const bool single = sizeof(T) == 4;
  const double log_range = single ? 80.0 : 650.0, log_negligible = single ? 28.0 : 60.0;
  if (step == 0.0 || eta == 0.0 || 2.0 * eta * step * largest_x > 0.5 * log_range) return 0;
  const double distance = (std::sqrt(log_range) - std::sqrt(log_negligible)) / std::sqrt(eta);
  return std::max(0, std::min(4, static_cast<int>(distance / step)));
}

/// (n_out, n_in) weights as [tile][input][row], zero rows at the end.
std::vector<double> packed(const std::vector<double> &weight, int n_out, int n_in, int tile, bool transposed) {
  const int rows = transposed ? n_in : n_out, columns = transposed ? n_out : n_in;
  std::vector<double> out(std::size_t(rounded_up(rows, tile)) * std::size_t(columns), 0.0);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const std::size_t from = transposed ? std::size_t(c) * n_in + r : std::size_t(r) * n_in + c;
      out[(std::size_t(r / tile) * columns + c) * tile + r % tile] = weight[from];
    }
  }
  return out;
}

/// Place of `value` in `list`, where it is appended if new.
template <class Value>
int place_in(std::vector<Value> &list, const Value &value) {
  const auto found = std::find(list.begin(), list.end(), value);
  if (found != list.end()) return static_cast<int>(found - list.begin());
  list.push_back(value);
  return static_cast<int>(list.size()) - 1;
}

}  // namespace

CompiledKernels<PannaKernels> compiled_panna_kernels(const std::string &name) {
  static const auto all = PANNA_COMPILED(PannaKernels, panna);
  return compiled_for(name, all);
}

template <class T>
PannaModel<T>::PannaModel(const PannaParameters &parameters, const PannaKernels<T> &kernels)
    : n_members_(parameters.n_members) {
  DescriptorView<T> &d = descriptor_;
  d.is_bp = parameters.descriptor == PannaDescriptor::bp;
  d.n_species = parameters.n_elements;
  d.n_radial = parameters.n_radial();
  d.n_angular = parameters.n_angular();
  d.n_features = parameters.n_features();
  d.radial_cutoff = T(parameters.radial.cutoff);
  d.angular_cutoff = T(parameters.angular.cutoff);
  // Kernels evaluate the radial functions of all neighbours, and of padding at twice the cutoff.
  d.radial = gaussians(parameters.radial.eta, parameters.radial.centers, 2.0 * parameters.cutoff());
  if (d.is_bp) {
    set_bp(parameters.angular);
  } else {
    set_mbp(parameters.angular);
  }
  for (const PannaNetwork &network : parameters.networks) add_network(network, kernels.row_tile);
  for (const PannaStatistics &statistics : parameters.statistics) add_extrapolation(statistics, kernels.row_tile);
}

template <class T>
const T *PannaModel<T>::keep(const std::vector<double> &values) {
  numbers_.emplace_back(values.begin(), values.end());
  bytes_ += values.size() * sizeof(T);
  return numbers_.back().data();
}

template <class T>
const int *PannaModel<T>::keep(const std::vector<int> &values) {
  integers_.push_back(values);
  bytes_ += values.size() * sizeof(int);
  return integers_.back().data();
}

template <class T>
ShellView<T> PannaModel<T>::gaussians(const std::vector<double> &eta, const std::vector<double> &centers,
                                      double largest_x) {
  ShellView<T> shells;
  shells.n = static_cast<int>(eta.size());
  shells.center = keep(centers);
  std::vector<double> scale, slope, offset, up, down;
  const double step = common_step(eta, centers);
  shells.reach = recursion_reach<T>(eta.empty() ? 0.0 : eta[0], step, largest_x);
  const double middle = centers.empty() ? 0.0 : 0.5 * (centers.front() + centers.back());
  for (std::size_t a = 0; a < eta.size(); ++a) {
    scale.push_back(std::sqrt(eta[a] * log2_e));
    slope.push_back(-2.0 * eta[a]);
    offset.push_back(2.0 * eta[a] * centers[a]);
    if (shells.reach > 0) {
      up.push_back(std::exp(-2.0 * eta[a] * step * (centers[a] - middle) - eta[a] * step * step));
      down.push_back(std::exp(2.0 * eta[a] * step * (centers[a] - middle) - eta[a] * step * step));
    }
  }
  shells.scale = keep(scale);
  shells.slope_factor = keep(slope);
  shells.slope_offset = keep(offset);
  shells.up = keep(up);
  shells.down = keep(down);
  shells.middle = T(middle);
  shells.ratio = T(eta.empty() ? 0.0 : 2.0 * eta[0] * step * log2_e);
  return shells;
}

template <class T>
void PannaModel<T>::set_windows(const std::vector<math::AngularWindow> &list) {
  std::vector<double> softening, offset, cosine, sine, slope_cosine, slope_sine, fraction;
  std::vector<int> which, whole;
  for (const math::AngularWindow &window : list) {
    offset.push_back(window.offset);
    cosine.push_back(window.along_cosine);
    sine.push_back(window.along_sine);
    slope_cosine.push_back(window.zeta * window.along_cosine);
    slope_sine.push_back(window.zeta * window.along_sine);
    whole.push_back(static_cast<int>(std::floor(window.zeta)));
    fraction.push_back(window.zeta - std::floor(window.zeta));
    // Angles theta and pi - theta share their sine but for rounding.
    std::size_t m = 0;
    while (m < softening.size() && std::fabs(softening[m] - window.softening) > 1e-14 * window.softening) ++m;
    if (m == softening.size()) softening.push_back(window.softening);
    which.push_back(static_cast<int>(m));
  }
  WindowView<T> &windows = descriptor_.windows;
  windows.n = static_cast<int>(list.size());
  windows.n_sines = static_cast<int>(softening.size());
  windows.sine_floor = math::squared_sine_floor(T(0));
  for (const double value : softening) windows.needs_floor |= value < 2.0 * double(windows.sine_floor);
  windows.softening = keep(softening);
  windows.sine = keep(which);
  windows.offset = keep(offset);
  windows.along_cosine = keep(cosine);
  windows.along_sine = keep(sine);
  windows.slope_along_cosine = keep(slope_cosine);
  windows.slope_along_sine = keep(slope_sine);
  windows.fraction = keep(fraction);
  windows.whole = keep(whole);
}

template <class T>
void PannaModel<T>::set_mbp(const PannaAngular &angular) {
  descriptor_.shells = gaussians(angular.eta, angular.centers, angular.cutoff);
  std::vector<math::AngularWindow> windows;
  for (std::size_t b = 0; b < angular.theta.size(); ++b) {
    windows.push_back(math::mbp_window(angular.theta[b], angular.zeta[b], angular.epsilon));
  }
  set_windows(windows);
}

/// The functions of a bp descriptor usually form a full grid of eta times (zeta, lambda); where they do
/// not, places of the grid stay unused.
template <class T>
void PannaModel<T>::set_bp(const PannaAngular &angular) {
  std::vector<double> eta;
  std::vector<std::pair<double, double>> windows;
  std::vector<int> shell, window;
  for (std::size_t f = 0; f < angular.eta.size(); ++f) {
    shell.push_back(place_in(eta, angular.eta[f]));
    window.push_back(place_in(windows, {angular.zeta[f], angular.lambda[f]}));
  }
  std::vector<double> scale, slope;
  std::vector<math::AngularWindow> list;
  for (const double value : eta) {
    scale.push_back(value * log2_e);
    slope.push_back(-value);
  }
  for (const auto &[zeta, lambda] : windows) list.push_back(math::bp_window(lambda, zeta));
  descriptor_.shells.n = static_cast<int>(eta.size());
  descriptor_.shells.is_gaussian = false;
  descriptor_.shells.scale = keep(scale);
  // Without centers the slope is -eta times the value.
  descriptor_.shells.slope_factor = keep(std::vector<double>(eta.size(), 0.0));
  descriptor_.shells.slope_offset = keep(slope);
  set_windows(list);
  std::vector<int> grid;
  for (std::size_t f = 0; f < shell.size(); ++f)
    grid.push_back(shell[f] * static_cast<int>(windows.size()) + window[f]);
  descriptor_.grid_of_function = keep(grid);
}

template <class T>
LayerView<T> PannaModel<T>::layer(const DenseLayer &layer, int row_tile) {
  LayerView<T> view;
  view.n_in = layer.n_in;
  view.n_out = layer.n_out;
  view.activation = layer.activation;
  view.forward = keep(packed(layer.weight, layer.n_out, layer.n_in, row_tile, false));
  view.backward = keep(packed(layer.weight, layer.n_out, layer.n_in, row_tile, true));
  std::vector<double> bias(layer.bias);
  bias.resize(static_cast<std::size_t>(rounded_up(layer.n_out, row_tile)), 0.0);
  view.bias = keep(bias);
  return view;
}

template <class T>
void PannaModel<T>::add_network(const PannaNetwork &network, int row_tile) {
  std::vector<double> inverse;
  for (const double scale : network.feature_scale) inverse.push_back(1.0 / scale);
  means_.push_back(keep(network.feature_mean));
  inverse_scales_.push_back(keep(inverse));
  NetworkView<T> view;
  view.widest = rounded_up(network.layers.front().n_in, row_tile);
  layers_.emplace_back();
  for (const DenseLayer &dense : network.layers) {
    layers_.back().push_back(layer(dense, row_tile));
    view.widest = std::max(view.widest, rounded_up(dense.n_out, row_tile));
    view.n_slopes += rounded_up(dense.n_out, row_tile);
  }
  view.n_layers = static_cast<int>(layers_.back().size());
  view.layers = layers_.back().data();
  networks_.push_back(view);
}

template <class T>
void PannaModel<T>::add_extrapolation(const PannaStatistics &statistics, int row_tile) {
  PannaExtrapolation<T> out;
  std::vector<double> inverse, weights(statistics.weights);
  for (const double deviation : statistics.deviation) inverse.push_back(1.0 / deviation);
  out.mean = keep(statistics.mean);
  out.inverse_deviation = keep(inverse);
  const int n_in = static_cast<int>(statistics.mean.size()), n_out = statistics.n_components();
  out.form.directions.n_in = n_in;
  out.form.directions.n_out = n_out;
  out.form.directions.forward = keep(packed(statistics.components, n_out, n_in, row_tile, false));
  weights.resize(static_cast<std::size_t>(rounded_up(n_out, row_tile)), 0.0);
  out.form.weights = keep(weights);
  out.form.weight_beside = T(statistics.weight_beside);
  extrapolations_.push_back(out);
}

template class PannaModel<float>;
template class PannaModel<double>;

}  // namespace panna_plus
