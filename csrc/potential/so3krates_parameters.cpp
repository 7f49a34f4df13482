#include "potential/so3krates_parameters.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "potential/element_table.h"

namespace panna_plus {
namespace {

using std::to_string;

constexpr int highest_degree = 4;

/// The options of the family in the card.
struct Options {
  const ModelFile &file;

  const JsonValue &value(const std::string &key) const { return file.card({"family_parameters", key}); }
  [[noreturn]] void refuse(const std::string &key, const std::string &expected) const {
    file.fail("card key 'family_parameters." + key + "'", expected, value(key).described());
  }
  bool flag(const std::string &key) const {
    if (!value(key).is(JsonValue::Kind::boolean)) refuse(key, "true or false");
    return value(key).boolean;
  }
  int integer(const std::string &key, int highest) const {
    if (!value(key).is_integer_between(1, highest)) refuse(key, "1 to " + to_string(highest));
    return static_cast<int>(value(key).number);
  }
  /// The meaning of the name that stands there.
  template <class Meaning>
  Meaning choice(const std::string &key, const std::vector<std::pair<std::string, Meaning>> &known) const {
    std::string names;
    for (const auto &[name, meaning] : known) {
      if (value(key).is(JsonValue::Kind::string) && value(key).string == name) return meaning;
      names += (names.empty() ? "" : ", ") + name;
    }
    refuse(key, "one of " + names);
  }
};

const std::vector<std::pair<std::string, math::Activation>> activations = {{"linear", math::Activation::linear},
                                                                           {"silu", math::Activation::silu}};

std::vector<int> read_degrees(const Options &options) {
  const JsonValue &list = options.value("degrees");
  std::vector<int> degrees;
  for (const JsonValue &item : list.items) {
    const int lowest = degrees.empty() ? 0 : degrees.back();
    if (!item.is_integer_between(lowest, highest_degree)) options.refuse("degrees", "ascending numbers from 0 to 4");
    degrees.push_back(static_cast<int>(item.number));
  }
  if (degrees.empty() || degrees.size() > 1000) options.refuse("degrees", "ascending numbers from 0 to 4");
  return degrees;
}

LinearMap read_linear(const ModelFile &file, const std::string &folder, int n_in, int n_out, bool with_bias = true) {
  LinearMap map{n_in, n_out, file.array(folder + "weight", {n_out, n_in}), {}};
  if (with_bias) map.bias = file.array(folder + "bias", {n_out});
  return map;
}

std::optional<LayerNorm> read_norm(const ModelFile &file, const std::string &folder, bool is_on, int n) {
  if (!is_on) return std::nullopt;
  return LayerNorm{file.array(folder + "weight", {n}), file.array(folder + "bias", {n})};
}

std::optional<ResidualPerceptron> read_residual(const ModelFile &file, const std::string &folder, bool is_on, int n) {
  if (!is_on) return std::nullopt;
  return ResidualPerceptron{read_linear(file, folder + "inner/", n, n), read_linear(file, folder + "outer/", n, n)};
}

So3kratesCoefficients read_coefficients(const ModelFile &file, const std::string &folder,
                                        const So3kratesParameters &model, int n_chunks) {
  const int n = model.n_features, n_narrow = n / 4, size = n / n_chunks;
  So3kratesCoefficients found;
  found.spherical_inner = read_linear(file, folder + "filter/spherical_inner/", model.n_degrees(), n_narrow);
  found.spherical_outer = read_linear(file, folder + "filter/spherical_outer/", n_narrow, n);
  found.query = file.array(folder + "query/weight", {n_chunks, size, size});
  found.key = file.array(folder + "key/weight", {n_chunks, size, size});
  return found;
}

So3kratesLayer read_layer(const Options &options, const std::string &folder, const So3kratesParameters &model) {
  const ModelFile &file = options.file;
  const int n = model.n_features, mixed = n + model.n_degrees(), size = n / model.n_heads;
  So3kratesLayer layer;
  layer.features = read_coefficients(file, folder + "attention/features/", model, model.n_heads);
  layer.vectors = read_coefficients(file, folder + "attention/vectors/", model, model.n_degrees());
  layer.value = file.array(folder + "attention/value/weight", {model.n_heads, size, size});
  layer.norm_1 = read_norm(file, folder + "norm_1/", options.flag("layer_norm_1"), n);
  layer.norm_2 = read_norm(file, folder + "norm_2/", options.flag("layer_norm_2"), n);
  layer.residual_1 = read_residual(file, folder + "residual_1/", options.flag("residual_mlp_1"), n);
  layer.residual_2 = read_residual(file, folder + "residual_2/", options.flag("residual_mlp_2"), n);
  layer.exchange = read_linear(file, folder + "exchange/linear/", mixed, mixed);
  return layer;
}

std::optional<StateEmbedding> read_state(const ModelFile &file, const std::string &folder, bool is_on, int n) {
  if (!is_on) return std::nullopt;
  return StateEmbedding{read_element_table(file, folder + "query/weight", n), file.array(folder + "keys", {2, n}),
                        file.array(folder + "values", {2, n}), read_linear(file, folder + "inner/", n, n, false),
                        read_linear(file, folder + "outer/", n, n, false)};
}

void read_sizes(const Options &options, So3kratesParameters &model) {
  model.n_features = options.integer("n_features", 100000);
  model.n_heads = options.integer("n_heads", 100000);
  model.degrees = read_degrees(options);
  if (model.n_features % 4 || model.n_features % model.n_heads || model.n_features % model.n_degrees()) {
    options.refuse("n_features", "a multiple of 4, of n_heads and of the number of degrees");
  }
}

void read_envelope(const Options &options, So3kratesParameters &model) {
  using math::EnvelopeKind;
  model.envelope.kind = options.choice<EnvelopeKind>("cutoff_function", {{"quintic", EnvelopeKind::quintic},
                                                                         {"cosine", EnvelopeKind::cosine},
                                                                         {"exponential", EnvelopeKind::exponential}});
  model.envelope.cutoff = options.file.array("short_cutoff", {1})[0];
  if (!(model.envelope.cutoff > 0.0)) {
    options.file.fail("array 'short_cutoff'", "a positive distance", to_string(model.envelope.cutoff));
  }
  const std::vector<double> norms = options.file.array("message_norms", {2});
  if (!(norms[0] > 0.0 && norms[1] > 0.0)) options.file.fail("array 'message_norms'", "positive numbers", "others");
  model.message_norms = {norms[0], norms[1]};
}

RadialTables read_tables(const ModelFile &file, const So3kratesParameters &model) {
  RadialTables tables;
  tables.n_features = model.n_features;
  if (!file.has_array("tables/radial")) file.fail("array 'tables/radial'", "the tables of radial filters", "none");
  tables.values = file.array("tables/radial", {model.n_layers(), 2, -1, 3, model.n_features});
  tables.n_knots = static_cast<int>(std::min<std::int64_t>(file.array_shape("tables/radial")[2], 1 << 20));
  tables.spacing = file.array("tables/knots", {1})[0];
  const double last = tables.spacing * (tables.n_knots - 1);
  if (!(tables.n_knots >= 2 && last >= model.envelope.cutoff * (1.0 - 1e-9))) {
    file.fail("array 'tables/knots'", "a spacing whose last knot is the cutoff", to_string(tables.spacing));
  }
  return tables;
}

void read_energies(const Options &options, So3kratesParameters &model) {
  const ModelFile &file = options.file;
  const int n_hidden = options.integer("energy_hidden", 100000);
  const std::int64_t s = model.n_elements;
  model.energy_activation = options.choice("energy_activation", activations);
  model.energy_inner = read_linear(file, "energy/inner/", model.n_features, n_hidden);
  model.energy_outer = read_linear(file, "energy/outer/", n_hidden, 1);
  model.energy_scale = read_element_table(file, "energy/scale/weight", 1);
  model.energy_shift = read_element_table(file, "energy/shift/weight", 1);
  model.reference_energies = file.array("reference_energies", {s});
  model.shortest_distances = file.array("shortest_distances", {s, s});
  for (const double distance : model.shortest_distances) {
    if (distance < 0.0) file.fail("array 'shortest_distances'", "distances of at least 0", to_string(distance));
  }
}

void check_card(const ModelFile &file, const So3kratesParameters &model, const EnergyTermsParameters &stored) {
  const double cutoff = std::max(model.envelope.cutoff, stored.long_range_cutoff);
  if (std::fabs(cutoff - file.cutoff()) > 1e-6) {
    file.fail("card key 'cutoff'", "the larger one of those of layers and long-range terms, " + to_string(cutoff),
              to_string(file.cutoff()));
  }
  const int n_exchanges = model.n_layers() - 1 + (stored.long_range_cutoff > 0.0);
  if (file.n_exchanges() != n_exchanges) {
    file.fail("card key 'n_exchanges'", to_string(n_exchanges), to_string(file.n_exchanges()));
  }
}

}  // namespace

int So3kratesParameters::n_components() const {
  int n = 0;
  for (const int degree : degrees) n += 2 * degree + 1;
  return n;
}

double So3kratesParameters::embedding_norm() const {
  return std::sqrt(1.0 + double(charge.has_value()) + double(spin.has_value()));
}

So3kratesParameters read_so3krates_parameters(const ModelFile &file, const Opening &opening) {
  const Options options{file};
  So3kratesParameters model;
  const std::size_t n_elements = file.elements().size();
  if (n_elements > 1000) file.fail("card key 'elements'", "at most 1000", to_string(n_elements));
  model.n_elements = static_cast<int>(n_elements);
  read_sizes(options, model);
  read_envelope(options, model);
  model.query_key_activation = options.choice("query_key_activation", activations);
  model.subtract_lone_atom = options.choice<bool>("lone_atom", {{"reference", true}, {"network", false}});
  const int n = model.n_features, n_layers = options.integer("n_layers", 1000);
  model.element_features = read_element_table(file, "embedding/elements/weight", n);
  model.charge = read_state(file, "embedding/charge/", options.flag("charge_embedding"), n);
  model.spin = read_state(file, "embedding/spin/", options.flag("spin_embedding"), n);
  const std::vector<double> range = file.array("spin_range", {2});
  model.spin_range = {range[0], range[1]};
  for (int k = 0; k < n_layers; ++k) {
    model.layers.push_back(read_layer(options, "layers/" + to_string(k) + "/", model));
  }
  model.tables = read_tables(file, model);
  read_energies(options, model);
  const int n_hidden = model.energy_inner.n_out;
  check_card(file, model, read_energy_terms_parameters(file, "terms/", n, n_hidden, {}));
  model.terms = read_energy_terms_parameters(file, "terms/", n, n_hidden,
                                             {opening.long_range_cutoff, opening.dispersion_damping});
  return model;
}

}  // namespace panna_plus
