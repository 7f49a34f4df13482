#include "potential/mean_potential.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <utility>

#include "model_file/checksums.h"
#include "system/failure.h"
#include "system/first_failure.h"

namespace panna_plus {
namespace {

/// One of the potentials.
struct Part {
  std::unique_ptr<Potential> potential;
  std::vector<std::int32_t> species;  // its numbers of our elements, or empty: they are ours
  double share = 0.0;                 // in the mean
  int first_member = 0;

  int n_members() const { return potential->description().n_members; }
};

/// Whether details of this name are the largest of the parts, and not their mean.
bool is_largest(const char *name) { return std::strcmp(name, extrapolation_detail) == 0; }

/// to[0..n) += factor from[0..n)
void add_scaled(double *to, const double *from, std::int64_t n, double factor) {
  if (!to) return;
  for (std::int64_t k = 0; k < n; ++k) to[k] += factor * from[k];
}

/// What one part finds, and atoms as it counts elements: kept between calls, so that a step of MD allocates nothing.
class PartMemory {
 public:
  /// Room for what all parts will be asked for.
  void size_for(const std::vector<Part> &parts, const Neighborhood &atoms, const Results &wanted);

  Neighborhood atoms_of(const Part &part, const Neighborhood &atoms);
  /// From zero, with the arrays that `wanted` has; those of members go to their places in it at once.
  Results results_of(const Part &part, const Neighborhood &atoms, const Results &wanted);

 private:
  static double *zeroed(std::vector<double> &values) {
    std::fill(values.begin(), values.end(), 0.0);
    return values.empty() ? nullptr : values.data();
  }

  std::vector<std::int32_t> species_;
  std::vector<double> atomic_energies_, forces_, atomic_virials_, centroid_virials_, details_;
  std::vector<Detail> named_;
};

void PartMemory::size_for(const std::vector<Part> &parts, const Neighborhood &atoms, const Results &wanted) {
  const auto n = static_cast<std::size_t>(atoms.n_atoms);
  const bool maps = std::any_of(parts.begin(), parts.end(), [](const Part &part) { return !part.species.empty(); });
  species_.resize(maps ? n : 0);
  atomic_energies_.resize(wanted.atomic_energies ? n : 0);
  forces_.resize(wanted.forces || wanted.member_forces ? 3 * n : 0);
  atomic_virials_.resize(wanted.atomic_virials ? 6 * n : 0);
  centroid_virials_.resize(wanted.centroid_virials ? 9 * n : 0);
  const auto n_details = static_cast<std::size_t>(wanted.n_details);
  details_.resize(n_details * n);
  named_.resize(n_details);
  for (std::size_t d = 0; d < n_details; ++d) named_[d] = {wanted.details[d].name, details_.data() + d * n};
}

Neighborhood PartMemory::atoms_of(const Part &part, const Neighborhood &atoms) {
  if (part.species.empty()) return atoms;
  const auto n_elements = static_cast<std::int32_t>(part.species.size());
  for (std::int64_t row = 0; row < atoms.n_atoms; ++row) {
    const std::int32_t own = atoms.species[row];
    // What is no element of ours is none of the part's, which refuses it or does not see it.
    species_[static_cast<std::size_t>(row)] =
        own >= 0 && own < n_elements ? part.species[static_cast<std::size_t>(own)] : own;
  }
  Neighborhood view = atoms;
  view.species = species_.data();
  return view;
}

Results PartMemory::results_of(const Part &part, const Neighborhood &atoms, const Results &wanted) {
  Results own;
  own.atomic_energies = zeroed(atomic_energies_);
  own.forces = zeroed(forces_);
  own.atomic_virials = zeroed(atomic_virials_);
  own.centroid_virials = zeroed(centroid_virials_);
  own.details = named_.data();
  own.n_details = static_cast<int>(named_.size());
  if (part.n_members() == 1) return own;
  if (wanted.member_energies) own.member_energies = wanted.member_energies + part.first_member;
  if (wanted.member_forces) own.member_forces = wanted.member_forces + 3 * atoms.n_atoms * part.first_member;
  return own;
}

class MeanPotential final : public Potential {
 public:
  MeanPotential(Description description, std::vector<Part> parts)
      : Potential(std::move(description)), parts_(std::move(parts)) {}

  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override;

 private:
  void add(const Part &part, const Neighborhood &atoms, const Results &own, Results &total) const;
  void add_details(const Part &part, const Neighborhood &atoms, const Results &own, Results &total) const;

  std::vector<Part> parts_;
};

/// What went wrong here is thrown when all parts have made their exchanges, for which other processes wait.
void MeanPotential::compute(const Neighborhood &atoms, Results &results) const {
  thread_local PartMemory memory;
  FirstFailure failure;
  failure.attempt([&] { memory.size_for(parts_, atoms, results); });
  double n_failed = failure.has_failed() ? 1.0 : 0.0;
  if (atoms.exchange) atoms.exchange->sum(&n_failed, 1);
  failure.rethrow();
  require(n_failed == 0.0, "another process stopped: it says why");
  for (const Part &part : parts_) {
    FirstFailure own_failure;
    own_failure.attempt([&] {
      Results own = memory.results_of(part, atoms, results);
      part.potential->compute(memory.atoms_of(part, atoms), own);
      add(part, atoms, own, results);
    });
    failure.attempt([&] { own_failure.rethrow(); });
  }
  failure.rethrow();
}

void MeanPotential::add(const Part &part, const Neighborhood &atoms, const Results &own, Results &total) const {
  const std::int64_t n = atoms.n_atoms;
  const double share = part.share;
  total.energy += share * own.energy;
  add_scaled(total.virial, own.virial, 6, share);
  add_scaled(total.atomic_energies, own.atomic_energies, n, share);
  add_scaled(total.forces, own.forces, 3 * n, share);
  add_scaled(total.atomic_virials, own.atomic_virials, 6 * n, share);
  add_scaled(total.centroid_virials, own.centroid_virials, 9 * n, share);
  if (own.closest.ratio < total.closest.ratio) total.closest = own.closest;
  add_details(part, atoms, own, total);
  if (part.n_members() > 1) return;
  if (total.member_energies) total.member_energies[part.first_member] += own.energy;
  if (total.member_forces) add_scaled(total.member_forces + 3 * n * part.first_member, own.forces, 3 * n, 1.0);
}

/// Details are set for centres, and not added: the first part sets them.
void MeanPotential::add_details(const Part &part, const Neighborhood &atoms, const Results &own, Results &total) const {
  const bool is_first = &part == &parts_.front();
  for (int d = 0; d < total.n_details; ++d) {
    const bool largest = is_largest(total.details[d].name);
    const double *from = own.details[d].values;
    double *to = total.details[d].values;
    for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
      const std::int32_t atom = atoms.centers[n];
      if (atoms.species[atom] < 0) continue;
      const double value = largest ? from[atom] : part.share * from[atom];
      to[atom] = is_first ? value : largest ? std::max(to[atom], value) : to[atom] + value;
    }
  }
}

std::size_t MeanPotential::memory_usage() const {
  std::size_t bytes = 0;
  for (const Part &part : parts_) bytes += part.potential->memory_usage();
  return bytes;
}

std::string listed(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Place of each of `elements` in those of another potential; empty if the places are the same.
std::vector<std::int32_t> species_in(const NamedPotential &other, const NamedPotential &first) {
  const std::vector<std::string> &elements = first.potential->description().elements;
  const std::vector<std::string> &others = other.potential->description().elements;
  if (elements == others) return {};
  std::vector<std::int32_t> species;
  for (const std::string &element : elements) {
    const auto place = std::find(others.begin(), others.end(), element);
    if (place != others.end()) species.push_back(static_cast<std::int32_t>(place - others.begin()));
  }
  require(species.size() == elements.size() && elements.size() == others.size(),
          "several model files are one potential only if all know the same elements: '" + first.name + "' knows " +
              listed(elements) + ", '" + other.name + "' knows " + listed(others) +
              ": leave one of them out, or train them with the same elements");
  return species;
}

/// The texts that differ, in their order.
void join_different(std::string &texts, const std::string &text) {
  if ((", " + texts + ", ").find(", " + text + ", ") == std::string::npos) texts += ", " + text;
}

/// What the mean of several is, from the description of the first on.
void include(Description &mean, const Description &part) {
  join_different(mean.family, part.family);
  join_different(mean.kernels, part.kernels);
  join_different(mean.device, part.device);
  mean.cutoff = std::max(mean.cutoff, part.cutoff);
  mean.message_cutoff = std::max(mean.message_cutoff, part.message_cutoff);
  mean.reach = std::max(mean.reach, part.reach);
  mean.n_exchanges += part.n_exchanges;
  mean.uses_charge = mean.uses_charge || part.uses_charge;
  mean.uses_spin = mean.uses_spin || part.uses_spin;
  mean.n_averaged += part.n_averaged;
  const auto is_missing = [&](const std::string &name) {
    return std::find(part.details.begin(), part.details.end(), name) == part.details.end();
  };
  mean.details.erase(std::remove_if(mean.details.begin(), mean.details.end(), is_missing), mean.details.end());
}

Description description_of(const std::vector<NamedPotential> &potentials) {
  Description mean = potentials.front().potential->description();
  std::string hashes = mean.weights_sha256;
  bool knows_members = mean.n_members == mean.n_averaged;
  for (std::size_t k = 1; k < potentials.size(); ++k) {
    const Description &part = potentials[k].potential->description();
    include(mean, part);
    hashes += part.weights_sha256;
    knows_members = knows_members && part.n_members == part.n_averaged;
  }
  mean.card.clear();
  mean.n_members = knows_members ? mean.n_averaged : 1;
  mean.weights_sha256 = sha256(reinterpret_cast<const unsigned char *>(hashes.data()), hashes.size());
  return mean;
}

}  // namespace

std::unique_ptr<Potential> mean_of(std::vector<NamedPotential> potentials) {
  require(!potentials.empty(), "a potential needs at least one model file");
  if (potentials.size() == 1) return std::move(potentials.front().potential);
  Description description = description_of(potentials);
  std::vector<Part> parts;
  for (const NamedPotential &each : potentials) parts.push_back({nullptr, species_in(each, potentials.front())});
  int n_before = 0;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    parts[k].potential = std::move(potentials[k].potential);
    const int n = parts[k].potential->description().n_averaged;
    parts[k].share = double(n) / description.n_averaged;
    parts[k].first_member = std::exchange(n_before, n_before + n);
  }
  return std::make_unique<MeanPotential>(std::move(description), std::move(parts));
}

}  // namespace panna_plus
