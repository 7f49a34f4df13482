#include "potential/energy_terms_parameters.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "potential/element_table.h"
#include "system/failure.h"

namespace panna_plus {
namespace {

constexpr const char *section = "terms";
// Fraction of the cutoff from which the electrostatic potential is not only shifted but tilted.
constexpr double electrostatics_switch_start = 0.45;

/// The arrays of one term.
struct Source {
  const ModelFile &file;
  std::string folder;

  std::vector<double> numbers(const std::string &name, std::vector<std::int64_t> shape) const {
    return file.array(folder + name, shape);
  }
  double positive(const std::string &name) const {
    const double value = numbers(name, {1})[0];
    if (!(value > 0.0)) file.fail("array '" + folder + name + "'", "a positive number", std::to_string(value));
    return value;
  }
  std::vector<double> table(const std::string &name, int n) const { return read_element_table(file, folder + name, n); }
};

bool is_on(const ModelFile &file, const std::string &term) {
  const JsonValue &value = file.card({"family_parameters", section, term});
  if (!value.is(JsonValue::Kind::boolean)) {
    file.fail("card key 'family_parameters.terms." + term + "'", "true or false", value.described());
  }
  return value.boolean;
}

/// ln(1 + e^x): files hold what this maps to the parameter.
double softplus(double x) { return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

std::array<double, 4> four_positive(const Source &source, const std::string &name) {
  const std::vector<double> raw = source.numbers(name, {4});
  std::array<double, 4> values;
  std::transform(raw.begin(), raw.end(), values.begin(), softplus);
  return values;
}

RepulsionParameters read_repulsion(const Source &source) {
  RepulsionParameters repulsion;
  for (const std::string &symbol : source.file.elements()) repulsion.numbers.push_back(atomic_number(symbol));
  repulsion.exponents = four_positive(source, "exponents");
  repulsion.coefficients = four_positive(source, "coefficients");
  double sum = 0.0;
  for (const double c : repulsion.coefficients) sum += c;
  if (!(sum > 0.0)) source.file.fail("array '" + source.folder + "coefficients'", "values above -700", "lower ones");
  for (double &c : repulsion.coefficients) c /= sum;
  repulsion.power = softplus(source.numbers("power", {1})[0]);
  repulsion.screening = softplus(source.numbers("screening", {1})[0]);
  repulsion.end = source.positive("end");
  return repulsion;
}

AtomHead read_inner(const Source &source, int n_features, int n_hidden) {
  AtomHead head;
  head.n_hidden = n_hidden;
  head.inner = source.numbers("inner/weight", {n_hidden, n_features});
  head.bias = source.numbers("inner/bias", {n_hidden});
  return head;
}

AtomHead read_charges(const Source &source, int n_features, int n_hidden) {
  AtomHead head = read_inner(source, n_features, n_hidden);
  const std::vector<double> outer = source.numbers("outer/weight", {1, n_hidden});
  const double bias = source.numbers("outer/bias", {1})[0];
  for (const double offset : source.table("bias/weight", 1)) {
    head.outer.insert(head.outer.end(), outer.begin(), outer.end());
    head.offset.push_back(offset + bias);
  }
  return head;
}

/// v + q . (O s + b) / sqrt(n) with s = silu(inner ...): O, b and q of an element become one row and one number.
AtomHead read_ratios(const Source &source, int n_features, int n_hidden) {
  AtomHead head = read_inner(source, n_features, n_hidden);
  const int n_keys = n_features / 2;
  const std::vector<double> outer = source.numbers("outer/weight", {n_keys, n_hidden});
  const std::vector<double> bias = source.numbers("outer/bias", {n_keys});
  const std::vector<double> query = source.table("query/weight", n_keys);
  head.offset = source.table("offset/weight", 1);
  head.outer.assign(head.offset.size() * static_cast<std::size_t>(n_hidden), 0.0);
  const double *q = query.data();
  for (std::size_t s = 0; s < head.offset.size(); ++s) {
    double *row = head.outer.data() + s * static_cast<std::size_t>(n_hidden);
    for (int k = 0; k < n_keys; ++k, ++q) {
      const double factor = *q / std::sqrt(double(n_keys));
      head.offset[s] += factor * bias[static_cast<std::size_t>(k)];
      for (int h = 0; h < n_hidden; ++h) row[h] += factor * outer[static_cast<std::size_t>(k * n_hidden + h)];
    }
  }
  return head;
}

std::vector<double> read_free_atoms(const Source &source, const std::string &name) {
  const std::int64_t n = static_cast<std::int64_t>(source.file.elements().size());
  std::vector<double> values = source.numbers(name, {n});
  for (const double value : values) {
    if (!(value > 0.0)) source.file.fail("array '" + source.folder + name + "'", "positive values", "others");
  }
  return values;
}

double switch_start_of(const Source &source, double cutoff) {
  const double start = source.numbers("switch_start", {1})[0];
  if (!(start >= 0.0 && start < cutoff)) {
    source.file.fail("array '" + source.folder + "switch_start'", "0 to below the cutoff", std::to_string(start));
  }
  return start;
}

/// The cutoff of the file, the same for both terms.
void take_cutoff(const Source &source, EnergyTermsParameters &terms) {
  const double cutoff = source.positive("cutoff");
  if (terms.long_range_cutoff > 0.0 && cutoff != terms.long_range_cutoff) {
    source.file.fail("array '" + source.folder + "cutoff'", "that of electrostatics", std::to_string(cutoff));
  }
  terms.long_range_cutoff = cutoff;
}

void override_range(EnergyTermsParameters &terms, LongRange wanted) {
  for (const double value : {wanted.cutoff, wanted.dispersion_damping}) {
    require(std::isfinite(value) && value >= 0.0,
            "long-range cutoff and dispersion damping must be positive distances (0: as the model file says), found " +
                std::to_string(value));
  }
  const bool is_asked = wanted.cutoff > 0.0 || wanted.dispersion_damping > 0.0;
  require(!is_asked || terms.long_range_cutoff > 0.0,
          "a long-range cutoff or dispersion damping is asked for, but the model has no long-range terms: leave it "
          "out");
  const double old_cutoff = terms.long_range_cutoff;
  if (wanted.cutoff > 0.0) terms.long_range_cutoff = wanted.cutoff;
  if (terms.electrostatics && wanted.cutoff > 0.0) {
    terms.electrostatics->switch_start = electrostatics_switch_start * wanted.cutoff;
  }
  if (terms.dispersion && is_asked) {
    const double damping =
        wanted.dispersion_damping > 0.0 ? wanted.dispersion_damping : old_cutoff - terms.dispersion->switch_start;
    require(damping < terms.long_range_cutoff,
            "the dispersion damping, " + std::to_string(damping) + " angstrom, must be below the long-range cutoff, " +
                std::to_string(terms.long_range_cutoff));
    terms.dispersion->switch_start = terms.long_range_cutoff - damping;
  }
}

}  // namespace

EnergyTermsParameters read_energy_terms_parameters(const ModelFile &file, const std::string &folder, int n_features,
                                                   int n_hidden, LongRange wanted) {
  EnergyTermsParameters terms;
  terms.n_elements = static_cast<int>(file.elements().size());
  terms.n_features = n_features;
  if (is_on(file, "repulsion")) terms.repulsion = read_repulsion({file, folder + "repulsion/"});
  if (is_on(file, "electrostatics")) {
    const Source source{file, folder + "electrostatics/"};
    take_cutoff(source, terms);
    terms.electrostatics = {read_charges({file, folder + "charges/"}, n_features, n_hidden), source.positive("width"),
                            switch_start_of(source, terms.long_range_cutoff)};
  }
  if (is_on(file, "dispersion")) {
    const Source source{file, folder + "dispersion/"};
    take_cutoff(source, terms);
    terms.dispersion = {read_ratios({file, folder + "ratios/"}, n_features, n_hidden / 2),
                        read_free_atoms(source, "polarizabilities"), read_free_atoms(source, "coefficients"),
                        source.positive("scale"), switch_start_of(source, terms.long_range_cutoff)};
  }
  override_range(terms, wanted);
  return terms;
}

}  // namespace panna_plus
