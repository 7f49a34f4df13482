#include "torch/script_messages.h"

#include <string>
#include <vector>

namespace panna_plus {
namespace {

double positive(const ModelFile &file, const std::vector<std::string> &keys) {
  const JsonValue &value = file.card(keys);
  if (!value.is(JsonValue::Kind::number) || !(value.number > 0.0)) {
    file.fail("card key '" + keys.back() + "'", "a positive number", value.described());
  }
  return value.number;
}

bool is_on(const ModelFile &file, const std::vector<std::string> &keys) {
  const JsonValue &value = file.card(keys);
  if (!value.is(JsonValue::Kind::boolean)) {
    file.fail("card key '" + keys.back() + "'", "true or false", value.described());
  }
  return value.boolean;
}

}  // namespace

void describe_messages(const ModelFile &file, Description &description) {
  const auto has_term = [&](const char *name) { return is_on(file, {"family_parameters", "terms", name}); };
  const bool has_charges = has_term("electrostatics"), has_ratios = has_term("dispersion");
  description.message_cutoff = positive(file, {"family_parameters", "cutoff"});
  description.reach = positive(file, {"reach"});
  description.n_exchanges = file.n_exchanges();
  description.uses_charge = has_charges || is_on(file, {"family_parameters", "charge_embedding"});
  description.uses_spin = is_on(file, {"family_parameters", "spin_embedding"});
  description.details = {"network_energies"};
  if (has_term("repulsion")) description.details.push_back("repulsion_energies");
  if (has_charges) description.details.insert(description.details.end(), {"charges", "electrostatic_energies"});
  if (has_ratios) description.details.insert(description.details.end(), {"hirshfeld_ratios", "dispersion_energies"});
}

}  // namespace panna_plus
