#include "potential/panna_parameters.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace panna_plus {
namespace {

std::string number_text(double value) {
  JsonValue json;
  json.kind = JsonValue::Kind::number;
  json.number = value;
  return json.described();
}

// What follows reads descriptors from a Source of arrays, a ModelFile or NamedArrays: both can array_shape(name),
// array(name, shape) and fail(where, expected, found).

/// Checks every value of an array with `allowed`.
template <class Source, class Rule>
void check_values(const Source &file, const std::string &name, const std::vector<double> &values,
                  const std::string &expected, Rule allowed) {
  for (const double value : values) {
    if (!allowed(value)) file.fail("array '" + name + "'", expected, number_text(value));
  }
}

template <class Source>
double read_cutoff(const Source &file, const std::string &name) {
  const std::vector<double> value = file.array(name, {1});
  check_values(file, name, value, "a positive distance", [](double x) { return x > 0.0; });
  return value[0];
}

template <class Source>
std::vector<double> read_nonnegative(const Source &file, const std::string &name, std::int64_t n) {
  std::vector<double> values = file.array(name, {n});
  check_values(file, name, values, "values of at least 0", [](double x) { return x >= 0.0; });
  return values;
}

template <class Source>
std::vector<double> read_zeta(const Source &file, std::int64_t n) {
  const std::string name = "descriptor/angular/zeta";
  std::vector<double> values = file.array(name, {n});
  check_values(file, name, values, "exponents from 1 to 10000", [](double x) { return x >= 1.0 && x <= 1e4; });
  return values;
}

template <class Source>
std::int64_t first_size(const Source &file, const std::string &name) {
  const auto &shape = file.array_shape(name);
  if (shape.size() != 1) file.fail("array '" + name + "'", "one dimension", shape_text(shape));
  return shape[0];
}

template <class Source>
PannaRadial read_radial(const Source &file) {
  PannaRadial radial;
  radial.cutoff = read_cutoff(file, "descriptor/radial/cutoff");
  const std::int64_t n = first_size(file, "descriptor/radial/eta");
  radial.eta = read_nonnegative(file, "descriptor/radial/eta", n);
  radial.centers = file.array("descriptor/radial/centers", {n});
  return radial;
}

template <class Source>
void read_mbp(const Source &file, PannaAngular &angular) {
  const std::string folder = "descriptor/angular/";
  const std::int64_t n_r = first_size(file, folder + "eta"), n_theta = first_size(file, folder + "theta");
  angular.eta = read_nonnegative(file, folder + "eta", n_r);
  angular.centers = file.array(folder + "centers", {n_r});
  angular.theta = file.array(folder + "theta", {n_theta});
  angular.zeta = read_zeta(file, n_theta);
  check_values(file, folder + "theta", angular.theta, "angles from 0 to pi",
               [](double x) { return x >= 0.0 && x < 3.1415926536; });
  angular.epsilon = read_nonnegative(file, folder + "epsilon", 1)[0];
}

template <class Source>
void read_bp(const Source &file, PannaAngular &angular) {
  const std::string folder = "descriptor/angular/";
  const std::int64_t n = first_size(file, folder + "eta");
  angular.eta = read_nonnegative(file, folder + "eta", n);
  angular.zeta = read_zeta(file, n);
  angular.lambda = file.array(folder + "lambda", {n});
  check_values(file, folder + "lambda", angular.lambda, "values from -1 to 1",
               [](double x) { return std::fabs(x) <= 1.0; });
}

math::Activation activation_named(const ModelFile &file, const std::string &key, const JsonValue &name) {
  using math::Activation;
  static const std::pair<const char *, Activation> known[] = {
      {"gaussian", Activation::gaussian}, {"tanh", Activation::tanh},       {"silu", Activation::silu},
      {"relu", Activation::relu},         {"lorentz", Activation::lorentz}, {"linear", Activation::linear}};
  for (const auto &[text, activation] : known) {
    if (name.is(JsonValue::Kind::string) && name.string == text) return activation;
  }
  file.fail(key, "gaussian, tanh, silu, relu, lorentz or linear", name.described());
}

DenseLayer read_layer(const ModelFile &file, const std::string &folder, int n_in) {
  DenseLayer layer;
  layer.n_in = n_in;
  layer.weight = file.array(folder + "weight", {-1, n_in});
  const std::int64_t n_out = file.array_shape(folder + "weight")[0];
  if (n_out < 1 || n_out > 1000000)
    file.fail("array '" + folder + "weight'", "1 to 1000000 rows", std::to_string(n_out));
  layer.n_out = static_cast<int>(n_out);
  layer.bias = file.array(folder + "bias", {n_out});
  return layer;
}

/// One member: where its arrays lie, and what the card says of it.
struct Member {
  std::string folder;     // before "element/..."
  std::string card_path;  // for errors
  const JsonValue &card;
};

/// The members of a committee; a model alone is its only member, and has no folder of its own.
std::vector<Member> members_of(const ModelFile &file) {
  const JsonValue &parameters = file.card({"family_parameters"});
  const JsonValue *const list = parameters.find("members");
  if (!list) return {{"", "family_parameters", parameters}};
  const bool fits = list->is(JsonValue::Kind::array) && list->items.size() > 1 && list->items.size() <= 1000;
  if (!fits) file.fail("card key 'family_parameters.members'", "a list of 2 to 1000", list->described());
  std::vector<Member> members;
  for (std::size_t m = 0; m < list->items.size(); ++m) {
    const std::string number = std::to_string(m);
    members.push_back({"member/" + number + "/", "family_parameters.members[" + number + "]", list->items[m]});
  }
  return members;
}

PannaNetwork read_network(const ModelFile &file, const Member &member, const std::string &element, int n_features) {
  const std::string folder = member.folder + "element/" + element + "/";
  PannaNetwork network;
  network.feature_mean = file.array(folder + "feature_mean", {n_features});
  network.feature_scale = file.array(folder + "feature_scale", {n_features});
  check_values(file, folder + "feature_scale", network.feature_scale, "positive values",
               [](double x) { return x > 0.0; });
  const std::string key = "card key '" + member.card_path + ".activations." + element + "'";
  const JsonValue *const activations = member.card.find("activations");
  const JsonValue *const found = activations ? activations->find(element) : nullptr;
  if (!found) file.fail(key, "a value", "nothing");
  const JsonValue &names = *found;
  if (!names.is(JsonValue::Kind::array) || names.items.empty()) file.fail(key, "a list of names", names.described());
  int width = n_features;
  for (std::size_t k = 0; k < names.items.size(); ++k) {
    network.layers.push_back(read_layer(file, folder + "layer/" + std::to_string(k) + "/", width));
    network.layers.back().activation = activation_named(file, key, names.items[k]);
    width = network.layers.back().n_out;
  }
  const std::string beyond = folder + "layer/" + std::to_string(names.items.size()) + "/weight";
  if (file.has_array(beyond)) file.fail("array '" + beyond + "'", "an activation of its own", "none in the card");
  if (width != 1) file.fail("last layer of element " + element, "1 output", std::to_string(width));
  return network;
}

void read_members(const ModelFile &file, PannaParameters &panna) {
  const std::vector<Member> members = members_of(file);
  panna.n_members = static_cast<int>(members.size());
  for (const Member &member : members) {
    const auto energies = file.array(member.folder + "reference_energies", {panna.n_elements});
    panna.reference_energies.insert(panna.reference_energies.end(), energies.begin(), energies.end());
    for (const std::string &element : file.elements()) {
      panna.networks.push_back(read_network(file, member, element, panna.n_features()));
    }
  }
}

PannaStatistics read_statistics(const ModelFile &file, const std::string &element, int n_features) {
  const std::string folder = "element/" + element + "/training/";
  PannaStatistics statistics;
  statistics.mean = file.array(folder + "mean", {n_features});
  statistics.deviation = file.array(folder + "deviation", {n_features});
  check_values(file, folder + "deviation", statistics.deviation, "positive values", [](double x) { return x > 0.0; });
  statistics.components = file.array(folder + "components", {-1, n_features});
  const std::int64_t n = file.array_shape(folder + "components")[0];
  const std::vector<double> variances = read_nonnegative(file, folder + "variances", n + 1);
  const double ridge = file.array(folder + "ridge", {1})[0];
  check_values(file, folder + "ridge", {ridge}, "a positive value", [](double x) { return x > 0.0; });
  double normal = variances.back() / ridge;
  for (std::int64_t k = 0; k < n; ++k) normal += variances[std::size_t(k)] / (variances[std::size_t(k)] + ridge);
  normal = std::max(normal, 1.0);
  for (std::int64_t k = 0; k < n; ++k) {
    statistics.weights.push_back(1.0 / ((variances[std::size_t(k)] + ridge) * normal));
  }
  statistics.weight_beside = 1.0 / (ridge * normal);
  return statistics;
}

bool reads_lone_atom(const ModelFile &file) {
  const std::string mode = file.card_string({"family_parameters", "lone_atom"});
  if (mode != "reference" && mode != "network") {
    file.fail("card key 'family_parameters.lone_atom'", "\"reference\" or \"network\"", "\"" + mode + "\"");
  }
  return mode == "reference";
}

/// Sizes whose product overflows or exhausts memory are a property of a damaged file.
template <class Source>
void check_sizes(const Source &file, const PannaParameters &panna) {
  const double s = panna.n_elements, radial = double(panna.radial.eta.size());
  const double angular = panna.descriptor == PannaDescriptor::mbp
                             ? double(panna.angular.eta.size()) * double(panna.angular.theta.size())
                             : double(panna.angular.eta.size());
  const double features = s * radial + s * (s + 1.0) / 2.0 * angular;
  if (features < 1.0 || features > 1e7) {
    file.fail("number of descriptor functions", "1 to 10000000", number_text(features));
  }
}

template <class Source>
void read_descriptor(const Source &file, const std::string &where, const std::string &type, PannaParameters &panna) {
  if (type != "mbp" && type != "bp") file.fail(where, "\"mbp\" or \"bp\"", "\"" + type + "\"");
  panna.descriptor = type == "mbp" ? PannaDescriptor::mbp : PannaDescriptor::bp;
  panna.radial = read_radial(file);
  panna.angular.cutoff = read_cutoff(file, "descriptor/angular/cutoff");
  if (type == "mbp") {
    read_mbp(file, panna.angular);
  } else {
    read_bp(file, panna.angular);
  }
  check_sizes(file, panna);
}

void check_cutoff(const ModelFile &file, const PannaParameters &panna) {
  if (std::fabs(panna.cutoff() - file.cutoff()) > 1e-6) {
    file.fail("card key 'cutoff'", "the larger of the two descriptor cutoffs, " + number_text(panna.cutoff()),
              number_text(file.cutoff()));
  }
}

}  // namespace

int PannaParameters::n_angular() const {
  const std::size_t n =
      descriptor == PannaDescriptor::mbp ? angular.eta.size() * angular.theta.size() : angular.eta.size();
  return static_cast<int>(n);
}

int PannaParameters::angular_offset(int species_a, int species_b) const {
  const int low = std::min(species_a, species_b), high = std::max(species_a, species_b);
  const int pair = low * n_elements - low * (low + 1) / 2 + high;
  return n_elements * n_radial() + pair * n_angular();
}

bool has_repulsion(const ModelFile &file) { return file.card({"family_parameters"}).find("terms") != nullptr; }

PannaParameters read_panna_parameters(const ModelFile &file) {
  if (file.n_exchanges() != 0)
    file.fail("card key 'n_exchanges'", "0 (the family is local)", std::to_string(file.n_exchanges()));
  PannaParameters panna;
  if (file.elements().size() > 1000)
    file.fail("card key 'elements'", "at most 1000", std::to_string(file.elements().size()));
  panna.n_elements = static_cast<int>(file.elements().size());
  const std::string type = file.card_string({"family_parameters", "descriptor", "type"});
  read_descriptor(file, "card key 'family_parameters.descriptor.type'", type, panna);
  check_cutoff(file, panna);
  panna.subtract_lone_atom = reads_lone_atom(file);
  const std::int64_t s = panna.n_elements;
  panna.shortest_distances = file.array("shortest_distances", {s, s});
  check_values(file, "shortest_distances", panna.shortest_distances, "distances of at least 0",
               [](double x) { return x >= 0.0; });
  read_members(file, panna);
  if (file.has_array("element/" + file.elements().front() + "/training/mean")) {
    for (const std::string &element : file.elements()) {
      panna.statistics.push_back(read_statistics(file, element, panna.n_features()));
    }
  }
  return panna;
}

PannaParameters read_panna_descriptor(const NamedArrays &arrays, const std::string &kind, int n_elements) {
  if (n_elements < 1 || n_elements > 1000) arrays.fail("n_elements", "1 to 1000", std::to_string(n_elements));
  PannaParameters panna;
  panna.n_elements = n_elements;
  read_descriptor(arrays, "kind", kind, panna);
  return panna;
}

}  // namespace panna_plus
