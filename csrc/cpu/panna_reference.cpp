#include "cpu/panna_reference.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "system/neighbors.h"
#include "math/angular_window.h"
#include "math/cutoff.h"
#include "math/radial_basis.h"
#include "math/triplet.h"
#include "potential/panna_parameters.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

using math::ValueSlope;

/// A neighbour in the arithmetic V of the model.
template <class V>
struct Neighbor {
  std::int64_t atom;
  int species;
  V r;
  math::Vector3<V> direction;
  ValueSlope<V> radial_cutoff, angular_cutoff;
};

/// Two neighbours of one centre inside the angular cutoff.
template <class V>
struct Triplet {
  std::size_t j, k;  // positions in the list of neighbours
  V cosine, squared_sine;
};

/// One angular function of one triplet with its derivatives.
template <class V>
struct TripletFunction {
  V value;
  math::TripletSlopes<V> slope;
};

/// F^zeta of one triplet and its derivative with respect to the cosine.
template <class V>
ValueSlope<V> window_function(const Triplet<V> &triplet, const math::AngularWindow &window) {
  const ValueSlope<V> sine =
      math::softened_sine(triplet.cosine, triplet.squared_sine, V(window.softening), math::squared_sine_floor(V(0)));
  const V base = V(window.offset) + V(window.along_cosine) * triplet.cosine + V(window.along_sine) * sine.value;
  const V slope = V(window.along_cosine) + V(window.along_sine) * sine.slope;
  // Rounding may leave a base of 0 slightly negative.
  const V bounded = math::larger(base, V(0)), lower = math::power(bounded, V(window.zeta) - V(1));
  return {lower * bounded, V(window.zeta) * lower * slope};
}

template <class V>
std::vector<V> converted(const std::vector<double> &values) {
  return std::vector<V>(values.begin(), values.end());
}

template <class V>
struct Layer {
  int n_in, n_out;
  math::Activation activation;
  std::vector<V> weight, bias;
};

template <class V>
struct Network {
  std::vector<V> mean, inverse_scale;
  std::vector<Layer<V>> layers;
  V lone_atom = V(0);  // its value without neighbours, subtracted
};

template <class V>
struct EnergyGradient {
  V energy;
  std::vector<V> gradient;  // with respect to the features
};

template <class V>
Network<V> converted(const PannaNetwork &network) {
  Network<V> out;
  out.mean = converted<V>(network.feature_mean);
  for (const double scale : network.feature_scale) out.inverse_scale.push_back(V(1.0 / scale));
  for (const DenseLayer &layer : network.layers) {
    out.layers.push_back(
        {layer.n_in, layer.n_out, layer.activation, converted<V>(layer.weight), converted<V>(layer.bias)});
  }
  return out;
}

/// Applies one layer; `slopes` receives the activation's derivatives.
template <class V>
std::vector<V> forward(const Layer<V> &layer, const std::vector<V> &input, std::vector<V> &slopes) {
  std::vector<V> output(layer.bias);
  slopes.resize(output.size());
  for (int o = 0; o < layer.n_out; ++o) {
    for (int i = 0; i < layer.n_in; ++i) output[o] += layer.weight[o * layer.n_in + i] * input[i];
    const ValueSlope<V> y = math::activate(layer.activation, output[o]);
    output[o] = y.value;
    slopes[o] = y.slope;
  }
  return output;
}

/// Pulls the derivative of the energy back through one layer.
template <class V>
std::vector<V> backward(const Layer<V> &layer, const std::vector<V> &gradient, const std::vector<V> &slopes) {
  std::vector<V> input(layer.n_in, V(0));
  for (int o = 0; o < layer.n_out; ++o) {
    const V g = gradient[o] * slopes[o];
    for (int i = 0; i < layer.n_in; ++i) input[i] += layer.weight[o * layer.n_in + i] * g;
  }
  return input;
}

template <class V>
EnergyGradient<V> evaluate(const Network<V> &network, const std::vector<double> &features) {
  std::vector<V> x(features.size());
  for (std::size_t f = 0; f < x.size(); ++f) x[f] = (V(features[f]) - network.mean[f]) * network.inverse_scale[f];
  std::vector<std::vector<V>> slopes(network.layers.size());
  for (std::size_t l = 0; l < network.layers.size(); ++l) x = forward(network.layers[l], x, slopes[l]);
  std::vector<V> gradient(1, V(1));
  for (std::size_t l = network.layers.size(); l-- > 0;) gradient = backward(network.layers[l], gradient, slopes[l]);
  for (std::size_t f = 0; f < gradient.size(); ++f) gradient[f] *= network.inverse_scale[f];
  return {x[0] - network.lone_atom, std::move(gradient)};
}

/// See PannaStatistics.
double extrapolation(const PannaStatistics &statistics, const std::vector<double> &features) {
  const std::size_t n = features.size();
  std::vector<double> x(n);
  double beside = 0.0, total = 0.0;
  for (std::size_t f = 0; f < n; ++f) {
    x[f] = (features[f] - statistics.mean[f]) / statistics.deviation[f];
    beside += x[f] * x[f];
  }
  for (std::size_t k = 0; k < statistics.weights.size(); ++k) {
    double along = 0.0;
    for (std::size_t f = 0; f < n; ++f) along += statistics.components[k * n + f] * x[f];
    total += statistics.weights[k] * along * along;
    beside -= along * along;
  }
  return std::sqrt(total + statistics.weight_beside * std::max(beside, 0.0));
}

template <class V>
class PannaReference final : public Potential {
 public:
  PannaReference(const ModelFile &file, PannaParameters parameters);
  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override { return memory_; }

 private:
  using Neighbors = std::vector<Neighbor<V>>;
  using Gradients = std::vector<math::Vector3<V>>;

  void compute_center(const Neighborhood &atoms, std::int64_t center, int species, Results &results) const;
  Neighbors convert(const std::vector<NeighborRow> &rows) const;
  std::vector<double> descriptor(const Neighbors &neighbors) const;
  Gradients contract(const Neighbors &neighbors, const std::vector<V> &g) const;
  void contract_triplet(const Neighbors &neighbors, const Triplet<V> &triplet, const std::vector<V> &g,
                        Gradients &out) const;
  template <class Visit>
  void for_each_triplet(const Neighbors &neighbors, Visit visit) const;
  ValueSlope<V> radial_function(const Neighbor<V> &neighbor, int n) const;
  TripletFunction<V> angular_function(const Neighbor<V> &j, const Neighbor<V> &k, const Triplet<V> &triplet,
                                      int function) const;
  TripletFunction<V> mbp_function(const Neighbor<V> &j, const Neighbor<V> &k, const Triplet<V> &triplet,
                                  int function) const;
  TripletFunction<V> bp_function(const Neighbor<V> &j, const Neighbor<V> &k, const Triplet<V> &triplet,
                                 int function) const;

  PannaParameters panna_;
  std::vector<V> radial_eta_, radial_centers_, angular_eta_, angular_centers_;
  std::vector<math::AngularWindow> windows_;
  std::vector<Network<V>> networks_;  // (n_members, S)
  std::size_t memory_ = 0;
};

template <class V>
PannaReference<V>::PannaReference(const ModelFile &file, PannaParameters parameters)
    : Potential(file, "reference"), panna_(std::move(parameters)) {
  radial_eta_ = converted<V>(panna_.radial.eta);
  radial_centers_ = converted<V>(panna_.radial.centers);
  angular_eta_ = converted<V>(panna_.angular.eta);
  angular_centers_ = converted<V>(panna_.angular.centers);
  for (std::size_t b = 0; b < panna_.angular.theta.size(); ++b) {
    windows_.push_back(math::mbp_window(panna_.angular.theta[b], panna_.angular.zeta[b], panna_.angular.epsilon));
  }
  for (std::size_t k = 0; k < panna_.angular.lambda.size(); ++k) {
    windows_.push_back(math::bp_window(panna_.angular.lambda[k], panna_.angular.zeta[k]));
  }
  own_description().n_members = panna_.n_members;
  if (!panna_.statistics.empty()) own_description().details.push_back(extrapolation_detail);
  const std::vector<double> nothing(static_cast<std::size_t>(panna_.n_features()), 0.0);
  for (const PannaNetwork &network : panna_.networks) {
    networks_.push_back(converted<V>(network));
    if (panna_.subtract_lone_atom) networks_.back().lone_atom = evaluate(networks_.back(), nothing).energy;
    for (const DenseLayer &layer : network.layers) memory_ += layer.weight.size() * (sizeof(double) + sizeof(V));
  }
}

template <class V>
void PannaReference<V>::compute(const Neighborhood &atoms, Results &results) const {
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const std::int64_t center = atoms.centers[n];
    const int species = center_species(atoms, center, panna_.n_elements);
    if (species >= 0) compute_center(atoms, center, species, results);
  }
}

template <class V>
void PannaReference<V>::compute_center(const Neighborhood &atoms, std::int64_t center, int species,
                                       Results &results) const {
  std::vector<NeighborRow> rows;
  gather_neighbors(atoms, center, {panna_.cutoff(), panna_.n_elements, panna_.shortest_distances.data()}, rows,
                   results.closest);
  const Neighbors neighbors = convert(rows);
  const std::vector<double> features = descriptor(neighbors);
  if (double *values = results.detail(extrapolation_detail)) {
    values[center] = extrapolation(panna_.statistics[static_cast<std::size_t>(species)], features);
  }
  std::vector<double> gradient_sums(3 * rows.size(), 0.0);
  double energy = 0.0;
  for (int m = 0; m < panna_.n_members; ++m) {
    const std::size_t place = static_cast<std::size_t>(m * panna_.n_elements + species);
    const EnergyGradient<V> network = evaluate(networks_[place], features);
    const Gradients gradients = contract(neighbors, network.gradient);
    const double own = panna_.reference_energies[place] + double(network.energy);
    energy += own / panna_.n_members;
    Results member;
    if (results.member_energies) results.member_energies[m] += own;
    if (results.member_forces) member.forces = results.member_forces + 3 * m * atoms.n_atoms;
    for (std::size_t n = 0; n < rows.size(); ++n) {
      const double gradient[3] = {double(gradients[n].x), double(gradients[n].y), double(gradients[n].z)};
      for (std::size_t a = 0; a < 3; ++a) gradient_sums[3 * n + a] += gradient[a] / panna_.n_members;
      member.add_pair(center, rows[n].atom, rows[n].r, gradient);
    }
  }
  require(std::isfinite(energy), "the energy of atom row " + std::to_string(center) +
                                     " is not finite: its surroundings are far outside the training data");
  results.add_atomic_energy(center, energy);
  for (std::size_t n = 0; n < rows.size(); ++n) {
    results.add_pair(center, rows[n].atom, rows[n].r, gradient_sums.data() + 3 * n);
  }
}

template <class V>
typename PannaReference<V>::Neighbors PannaReference<V>::convert(const std::vector<NeighborRow> &rows) const {
  Neighbors neighbors;
  for (const NeighborRow &row : rows) {
    const V r = V(row.distance);
    const math::Vector3<V> direction{V(row.r[0] / row.distance), V(row.r[1] / row.distance),
                                     V(row.r[2] / row.distance)};
    neighbors.push_back({row.atom, row.species, r, direction, math::cosine_cutoff(r, V(panna_.radial.cutoff)),
                         math::cosine_cutoff(r, V(panna_.angular.cutoff))});
  }
  return neighbors;
}

/// Calls visit(triplet) for every unordered pair of neighbours inside the angular cutoff.
template <class V>
template <class Visit>
void PannaReference<V>::for_each_triplet(const Neighbors &neighbors, Visit visit) const {
  const V cutoff = V(panna_.angular.cutoff);
  if (panna_.n_angular() == 0) return;
  for (std::size_t j = 0; j < neighbors.size(); ++j) {
    if (neighbors[j].r >= cutoff) continue;
    for (std::size_t k = j + 1; k < neighbors.size(); ++k) {
      if (neighbors[k].r >= cutoff) continue;
      const math::Angle<V> angle = math::angle_between(neighbors[j].direction, neighbors[k].direction);
      visit(Triplet<V>{j, k, angle.cosine, angle.squared_sine});
    }
  }
}

template <class V>
ValueSlope<V> PannaReference<V>::radial_function(const Neighbor<V> &neighbor, int n) const {
  return math::cut_gaussian(math::gaussian(neighbor.r, radial_eta_[n], radial_centers_[n]), neighbor.radial_cutoff);
}

template <class V>
TripletFunction<V> PannaReference<V>::angular_function(const Neighbor<V> &j, const Neighbor<V> &k,
                                                       const Triplet<V> &triplet, int function) const {
  return panna_.descriptor == PannaDescriptor::mbp ? mbp_function(j, k, triplet, function)
                                                   : bp_function(j, k, triplet, function);
}

/// 2 F(c)^zeta exp(-eta (mean distance - R)^2) f(r_j) f(r_k)
template <class V>
TripletFunction<V> PannaReference<V>::mbp_function(const Neighbor<V> &j, const Neighbor<V> &k,
                                                   const Triplet<V> &triplet, int function) const {
  const int n_theta = static_cast<int>(windows_.size());
  const int a = function / n_theta, b = function % n_theta;
  const ValueSlope<V> window = window_function(triplet, windows_[b]);
  const ValueSlope<V> shell = math::gaussian(V(0.5) * (j.r + k.r), angular_eta_[a], angular_centers_[a]);
  const ValueSlope<V> f_j = j.angular_cutoff, f_k = k.angular_cutoff;
  const V both = V(2) * f_j.value * f_k.value, angular = window.value * shell.value;
  const V common = V(0.5) * window.value * shell.slope * both;
  return {angular * both,
          {common + V(2) * angular * f_j.slope * f_k.value, common + V(2) * angular * f_j.value * f_k.slope,
           window.slope * shell.value * both}};
}

/// 2 [(1 + lambda c) / 2]^zeta exp(-eta (r_j^2 + r_k^2 + r_jk^2)) f(r_j) f(r_k) f(r_jk)
template <class V>
TripletFunction<V> PannaReference<V>::bp_function(const Neighbor<V> &j, const Neighbor<V> &k, const Triplet<V> &triplet,
                                                  int function) const {
  const V eta = angular_eta_[function];
  const ValueSlope<V> window = window_function(triplet, windows_[function]);
  const math::OppositeSide<V> side = math::opposite_side(j.r, k.r, j.direction, k.direction);
  const ValueSlope<V> f_j = j.angular_cutoff, f_k = k.angular_cutoff;
  const ValueSlope<V> f_jk = math::cosine_cutoff(side.length, V(panna_.angular.cutoff));
  const V shell = V(2) * math::exp(-eta * (j.r * j.r + k.r * k.r + side.length * side.length));
  const V cuts = f_j.value * f_k.value * f_jk.value, value = window.value * shell * cuts;
  const V by_side = window.value * shell * f_j.value * f_k.value * f_jk.slope - V(2) * eta * side.length * value;
  const V by_j = window.value * shell * f_j.slope * f_k.value * f_jk.value - V(2) * eta * j.r * value;
  const V by_k = window.value * shell * f_j.value * f_k.slope * f_jk.value - V(2) * eta * k.r * value;
  return {value,
          {by_j + by_side * side.slope.r_j, by_k + by_side * side.slope.r_k,
           window.slope * shell * cuts + by_side * side.slope.cosine}};
}

template <class V>
std::vector<double> PannaReference<V>::descriptor(const Neighbors &neighbors) const {
  std::vector<double> g(static_cast<std::size_t>(panna_.n_features()), 0.0);
  for (const Neighbor<V> &neighbor : neighbors) {
    double *block = g.data() + panna_.radial_offset(neighbor.species);
    for (int n = 0; n < panna_.n_radial(); ++n) block[n] += double(radial_function(neighbor, n).value);
  }
  for_each_triplet(neighbors, [&](const Triplet<V> &triplet) {
    const Neighbor<V> &j = neighbors[triplet.j], &k = neighbors[triplet.k];
    double *block = g.data() + panna_.angular_offset(j.species, k.species);
    for (int n = 0; n < panna_.n_angular(); ++n) block[n] += double(angular_function(j, k, triplet, n).value);
  });
  return g;
}

/// dE/dr_ij of every neighbour from g = dE/dG; the derivatives of G are summed up as they are made.
template <class V>
typename PannaReference<V>::Gradients PannaReference<V>::contract(const Neighbors &neighbors,
                                                                  const std::vector<V> &g) const {
  Gradients out(neighbors.size(), math::Vector3<V>{V(0), V(0), V(0)});
  for (std::size_t j = 0; j < neighbors.size(); ++j) {
    const V *block = g.data() + panna_.radial_offset(neighbors[j].species);
    V slope(0);
    for (int n = 0; n < panna_.n_radial(); ++n) slope += block[n] * radial_function(neighbors[j], n).slope;
    out[j] = out[j] + slope * neighbors[j].direction;
  }
  for_each_triplet(neighbors, [&](const Triplet<V> &triplet) { contract_triplet(neighbors, triplet, g, out); });
  return out;
}

template <class V>
void PannaReference<V>::contract_triplet(const Neighbors &neighbors, const Triplet<V> &triplet, const std::vector<V> &g,
                                         Gradients &out) const {
  const Neighbor<V> &j = neighbors[triplet.j], &k = neighbors[triplet.k];
  const V *block = g.data() + panna_.angular_offset(j.species, k.species);
  math::TripletSlopes<V> sum{V(0), V(0), V(0)};
  for (int n = 0; n < panna_.n_angular(); ++n) {
    const TripletFunction<V> function = angular_function(j, k, triplet, n);
    sum.r_j += block[n] * function.slope.r_j;
    sum.r_k += block[n] * function.slope.r_k;
    sum.cosine += block[n] * function.slope.cosine;
  }
  const math::TripletGradient<V> gradient =
      math::triplet_gradient(sum, j.direction, k.direction, V(1) / j.r, V(1) / k.r, triplet.cosine);
  out[triplet.j] = out[triplet.j] + gradient.j;
  out[triplet.k] = out[triplet.k] + gradient.k;
}

}  // namespace

std::unique_ptr<Potential> build_panna_reference(const ModelFile &file, Precision precision) {
  PannaParameters parameters = read_panna_parameters(file);
  if (precision == Precision::mixed) return std::make_unique<PannaReference<float>>(file, std::move(parameters));
  return std::make_unique<PannaReference<double>>(file, std::move(parameters));
}

}  // namespace panna_plus
