#include "cpu/energy_terms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/compiled_kernels.h"
#include "cpu/energy_terms_model.h"
#include "cpu/energy_terms_neighbors.h"
#include "cpu/partial_results.h"
#include "system/neighbors.h"
#include "system/threads.h"

namespace panna_plus {
PANNA_DECLARE_COMPILED(EnergyTermsKernels, energy_terms)

namespace {

template <class T>
const EnergyTermsKernels<T> &kernels_named(const std::string &name) {
  static const auto all = PANNA_COMPILED(EnergyTermsKernels, energy_terms);
  // There are no plain loops: "reference" runs the same formulas with the fewest lanes.
  return compiled_for(name == "reference" ? "portable" : name, all).of(T());
}

/// Memory of one evaluation, kept for the next one of the thread that called.
template <class T>
struct Workspace {
  std::vector<std::int32_t> owned;     // places in the list of rows that are centres
  std::vector<T> slopes;               // (n_rows rounded up, n_hidden)
  std::vector<double> values;          // (n_atoms, 2): charge and ratio
  std::vector<double> by_values;       // (n_atoms, 2): derivatives of the energy, of centres
  std::vector<char> is_negative;       // (n_atoms): whether the ratio is minus what its head says
  std::vector<char> is_center;         // (n_atoms)
  std::vector<AtomRecord<T>> records;  // (n_atoms)
  std::vector<NeighborTile<T>> tiles;  // of each thread
  std::vector<PartialResults> partial;
};

/// Where details go; null: not wanted.
struct Places {
  double *charges = nullptr, *ratios = nullptr;
  double *repulsion = nullptr, *electrostatics = nullptr, *dispersion = nullptr;
};

void set(double *values, std::int64_t atom, double value) {
  if (values) values[atom] = value;
}

/// How many threads share `n` pieces of work.
int threads_for(const Neighborhood &atoms, std::int64_t n) {
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(atoms.n_threads, n)));
}

/// Force and virial of a centre from its own pairs: the whole force, and half of each pair's virial.
void add_gathered(std::int64_t center, const LongRangeSums &sums, Results &results) {
  // Of the components of centroid virials, which are not symmetrized, but here symmetric.
  constexpr int same[9] = {0, 1, 2, 3, 4, 5, 3, 4, 5};
  for (int a = 0; a < 6; ++a) results.virial[a] -= 0.5 * sums.virial[a];
  if (results.forces) {
    for (int a = 0; a < 3; ++a) results.forces[3 * center + a] += sums.force[a];
  }
  if (results.atomic_virials) {
    for (int a = 0; a < 6; ++a) results.atomic_virials[6 * center + a] -= 0.5 * sums.virial[a];
  }
  if (results.centroid_virials) {
    for (int a = 0; a < 9; ++a) results.centroid_virials[9 * center + a] -= 0.5 * sums.virial[same[a]];
  }
}

}  // namespace

template <class T>
class EnergyTerms<T>::Implementation {
 public:
  Implementation(const EnergyTermsParameters &parameters, math::Envelope envelope, const std::string &kernels);

  bool has_charges() const { return model_.long_range().has_charges; }
  bool has_ratios() const { return model_.long_range().has_dispersion; }
  bool is_long_ranged() const { return has_charges() || has_ratios(); }
  const TermReach &reach() const { return reach_; }
  const std::vector<std::string> &details() const { return details_; }
  std::size_t memory_usage() const { return model_.memory_usage(); }
  void add(const Neighborhood &atoms, const AtomFeatures<T> &features, FirstFailure &failure, Results &results) const;

 private:
  /// One evaluation on its way through the stages below.
  struct Run {
    const Neighborhood &atoms;
    const AtomFeatures<T> &features;
    Workspace<T> &memory;
    Places places;
  };

  void find_values(Run &run) const;
  void run_heads(Run &run, std::int64_t first, std::int64_t last) const;
  void neutralize(Run &run, double missing) const;
  void write_records(Run &run) const;
  void add_pairs(Run &run, Results &results) const;
  void add_center(Run &run, std::int64_t center, NeighborTile<T> &tile, Results &results) const;
  void add_long_range(Run &run, std::int64_t center, const NeighborTile<T> &tile, Results &results) const;
  void add_repulsion(Run &run, std::int64_t center, const NeighborTile<T> &tile, Results &results) const;
  void add_feature_gradients(Run &run, double mean) const;
  void by_hidden_units(const Run &run, std::int32_t place, double mean, T *out) const;

  const EnergyTermsKernels<T> &kernels_;
  EnergyTermsModel<T> model_;
  math::Envelope envelope_;
  TermReach reach_;
  std::vector<std::string> details_;
};

template <class T>
EnergyTerms<T>::Implementation::Implementation(const EnergyTermsParameters &parameters, math::Envelope envelope,
                                               const std::string &kernels)
    : kernels_(kernels_named<T>(kernels)), model_(parameters, kernels_.lanes), envelope_(envelope) {
  reach_.long_range = parameters.long_range_cutoff;
  reach_.n_elements = parameters.n_elements;
  if (parameters.repulsion) {
    reach_.repulsion = std::min(parameters.repulsion->end, envelope.cutoff);
    details_ = {"repulsion_energies"};
  }
  if (has_charges()) details_.insert(details_.end(), {"charges", "electrostatic_energies"});
  if (has_ratios()) details_.insert(details_.end(), {"hirshfeld_ratios", "dispersion_energies"});
}

template <class T>
void EnergyTerms<T>::Implementation::add(const Neighborhood &atoms, const AtomFeatures<T> &features,
                                         FirstFailure &failure, Results &results) const {
  // Owned by the calling thread; its helpers come and go with every call.
  thread_local Workspace<T> memory;
  Run run{atoms, features, memory,
          {results.detail("charges"), results.detail("hirshfeld_ratios"), results.detail("repulsion_energies"),
           results.detail("electrostatic_energies"), results.detail("dispersion_energies")}};
  memory.values.assign(static_cast<std::size_t>(2 * atoms.n_atoms), 0.0);
  double sums[2] = {0.0, 0.0};  // charge, number of atoms
  failure.attempt([&] {
    find_values(run);
    for (const std::int32_t place : memory.owned) sums[0] += memory.values[2 * std::size_t(features.rows[place])];
    sums[1] = double(memory.owned.size());
  });
  if (has_charges()) {
    if (atoms.exchange) atoms.exchange->sum(sums, 2);
    failure.attempt([&] { neutralize(run, (atoms.total_charge - sums[0]) / std::max(sums[1], 1.0)); });
  }
  if (is_long_ranged() && atoms.exchange && atoms.exchange->has_images()) {
    atoms.exchange->to_images(memory.values.data(), 2);
  }
  double mean = 0.0;
  failure.attempt([&] {
    write_records(run);
    add_pairs(run, results);
    for (const std::int32_t place : memory.owned) mean += memory.by_values[2 * std::size_t(features.rows[place])];
  });
  if (has_charges() && atoms.exchange) atoms.exchange->sum(&mean, 1);
  failure.attempt([&] { add_feature_gradients(run, mean / std::max(sums[1], 1.0)); });
}

/// Charges, not yet neutral, and ratios of all rows that have features.
template <class T>
void EnergyTerms<T>::Implementation::find_values(Run &run) const {
  Workspace<T> &memory = run.memory;
  memory.owned.clear();
  if (!is_long_ranged()) return;
  const AtomFeatures<T> &features = run.features;
  memory.is_center.assign(static_cast<std::size_t>(run.atoms.n_atoms), 0);
  for (std::int64_t n = 0; n < run.atoms.n_centers; ++n) {
    const std::int32_t center = run.atoms.centers[n];
    memory.is_center[std::size_t(center)] = center_species(run.atoms, center, reach_.n_elements) >= 0;
  }
  for (std::int64_t p = 0; p < features.n_rows; ++p) {
    if (memory.is_center[std::size_t(features.rows[p])]) memory.owned.push_back(static_cast<std::int32_t>(p));
  }
  const std::int64_t block = head_block, n_blocks = (features.n_rows + block - 1) / block;
  memory.slopes.resize(std::size_t(n_blocks * block * model_.heads().n_hidden));
  memory.is_negative.assign(static_cast<std::size_t>(run.atoms.n_atoms), 0);
  const int n_threads = threads_for(run.atoms, n_blocks);
  run_in_threads(n_threads, [&](int rank) {
    run_heads(run, n_blocks * rank / n_threads * block,
              std::min(n_blocks * (rank + 1) / n_threads * block, features.n_rows));
  });
}

template <class T>
void EnergyTerms<T>::Implementation::run_heads(Run &run, std::int64_t first, std::int64_t last) const {
  constexpr int size = head_block;
  const T *inputs[size];
  int species[size];
  T values[2 * size];
  for (std::int64_t p = first; p < last; p += size) {
    for (int k = 0; k < size; ++k) {
      // Missing ones repeat the last: their values go nowhere.
      const std::int32_t row = run.features.rows[std::min(p + k, last - 1)];
      inputs[k] = run.features.features + row * run.features.stride;
      species[k] = run.atoms.species[row];
    }
    kernels_.heads(model_.heads(),
                   {inputs, species, run.memory.slopes.data() + p * model_.heads().n_hidden, values});
    for (int k = 0; k < size && p + k < last; ++k) {
      const std::size_t row = std::size_t(run.features.rows[p + k]);
      const double ratio = double(values[2 * k + 1]) + model_.offset(species[k], 1);
      run.memory.values[2 * row] = double(values[2 * k]) + model_.offset(species[k], 0);
      run.memory.values[2 * row + 1] = std::fabs(ratio);
      run.memory.is_negative[row] = ratio < 0.0;
    }
  }
}

/// Adds the same to the charges of all rows that have features.
template <class T>
void EnergyTerms<T>::Implementation::neutralize(Run &run, double missing) const {
  for (std::int64_t p = 0; p < run.features.n_rows; ++p) {
    run.memory.values[2 * std::size_t(run.features.rows[p])] += missing;
  }
}

template <class T>
void EnergyTerms<T>::Implementation::write_records(Run &run) const {
  const double nowhere = std::numeric_limits<double>::infinity();
  run.memory.records.resize(static_cast<std::size_t>(run.atoms.n_atoms));
  for (std::int64_t row = 0; row < run.atoms.n_atoms; ++row) {
    AtomRecord<T> &record = run.memory.records[std::size_t(row)];
    const int species = center_species(run.atoms, row, reach_.n_elements);
    if (species < 0) {
      record = {nowhere, nowhere, nowhere, T(0), T(0), 0};
      continue;
    }
    const double *x = run.atoms.positions + 3 * row, *value = run.memory.values.data() + 2 * row;
    record = {x[0], x[1], x[2], T(value[0]), T(model_.polarizability(species) * value[1]), species};
  }
}

template <class T>
void EnergyTerms<T>::Implementation::add_pairs(Run &run, Results &results) const {
  Workspace<T> &memory = run.memory;
  const std::int64_t n_centers = run.atoms.n_centers;
  memory.by_values.assign(static_cast<std::size_t>(2 * run.atoms.n_atoms), 0.0);
  const int n_threads = threads_for(run.atoms, n_centers);
  memory.tiles.resize(std::max(memory.tiles.size(), std::size_t(n_threads)));
  if (n_threads == 1) {
    for (std::int64_t n = 0; n < n_centers; ++n) add_center(run, run.atoms.centers[n], memory.tiles[0], results);
    return;
  }
  memory.partial.resize(std::max(memory.partial.size(), std::size_t(n_threads)));
  run_in_threads(n_threads, [&](int rank) {
    PartialResults &mine = memory.partial[std::size_t(rank)];
    mine.reset(results, run.atoms.n_atoms);
    // Dealt out in turn: balanced, and the order of every sum is the same in every run.
    for (std::int64_t n = rank; n < n_centers; n += n_threads) {
      add_center(run, run.atoms.centers[n], memory.tiles[std::size_t(rank)], mine.results());
    }
  });
  for (int rank = 0; rank < n_threads; ++rank) memory.partial[std::size_t(rank)].add_to(results, run.atoms.n_atoms);
}

template <class T>
void EnergyTerms<T>::Implementation::add_center(Run &run, std::int64_t center, NeighborTile<T> &tile,
                                                Results &results) const {
  const int species = center_species(run.atoms, center, reach_.n_elements);
  if (species < 0) return;
  tile.gather(run.atoms, center, run.memory.records.data(), reach_, model_.strengths(species), kernels_.lanes);
  if (reach_.repulsion > 0.0) add_repulsion(run, center, tile, results);
  if (is_long_ranged()) add_long_range(run, center, tile, results);
}

template <class T>
void EnergyTerms<T>::Implementation::add_long_range(Run &run, std::int64_t center, const NeighborTile<T> &tile,
                                                    Results &results) const {
  const AtomRecord<T> &record = run.memory.records[std::size_t(center)];
  LongRangeSums sums;
  kernels_.pairs(model_.long_range(), record.charge, record.polarizability, tile.long_range(), sums);
  const double *value = run.memory.values.data() + 2 * center;
  double *by_value = run.memory.by_values.data() + 2 * center;
  const double electrostatics = 0.5 * math::coulomb_constant * value[0] * sums.by_charge;
  const double dispersion = -0.5 * math::hartree * sums.dispersion;
  results.add_atomic_energy(center, electrostatics + dispersion);
  add_gathered(center, sums, results);
  by_value[0] = math::coulomb_constant * sums.by_charge;
  by_value[1] = -math::hartree * model_.polarizability(record.species) * sums.by_polarizability;
  set(run.places.charges, center, value[0]);
  set(run.places.electrostatics, center, electrostatics);
  set(run.places.ratios, center, value[1]);
  set(run.places.dispersion, center, dispersion);
}

template <class T>
void EnergyTerms<T>::Implementation::add_repulsion(Run &run, std::int64_t center, const NeighborTile<T> &tile,
                                                   Results &results) const {
  const AtomRecord<T> &me = run.memory.records[std::size_t(center)];
  double energy = 0.0;
  for (const std::int64_t j : tile.repelled()) {
    const AtomRecord<T> &other = run.memory.records[std::size_t(j)];
    const double r[3] = {other.x - me.x, other.y - me.y, other.z - me.z};
    const double distance = std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    const math::ValueSlope<double> pair =
        math::screened_repulsion(model_.screening(), model_.nuclei(me.species, other.species), distance,
                                 math::envelope(envelope_, distance));
    const double radial = pair.slope / distance, gradient[3] = {radial * r[0], radial * r[1], radial * r[2]};
    results.add_pair(center, j, r, gradient);
    energy += pair.value;
  }
  results.add_atomic_energy(center, energy);
  set(run.places.repulsion, center, energy);
}

/// Back through the heads, of the centres; the charge that is shared out makes each depend on all, the `mean`.
template <class T>
void EnergyTerms<T>::Implementation::add_feature_gradients(Run &run, double mean) const {
  const HeadsView<T> &heads = model_.heads();
  const std::int64_t size = head_block, n = static_cast<std::int64_t>(run.memory.owned.size());
  const std::int64_t n_blocks = (n + size - 1) / size;
  const int n_threads = threads_for(run.atoms, n_blocks);
  run_in_threads(n_threads, [&](int rank) {
    std::vector<T> by_hidden(std::size_t(size * heads.n_hidden)), gradients(std::size_t(size * heads.features_padded));
    for (std::int64_t block = rank; block < n_blocks; block += n_threads) {
      const std::int32_t *places = run.memory.owned.data() + block * size;
      const int n_here = static_cast<int>(std::min(size, n - block * size));
      for (int k = 0; k < n_here; ++k) by_hidden_units(run, places[k], mean, by_hidden.data() + k * heads.n_hidden);
      kernels_.heads_back(heads, by_hidden.data(), gradients.data());
      for (int k = 0; k < n_here; ++k) {
        const T *from = gradients.data() + std::ptrdiff_t(k) * heads.features_padded;
        T *to = run.features.gradients + run.features.rows[places[k]] * run.features.stride;
        for (int f = 0; f < heads.n_features; ++f) to[f] += from[f];
      }
    }
  });
}

/// Derivatives of the energy by what enters the hidden units of an atom.
template <class T>
void EnergyTerms<T>::Implementation::by_hidden_units(const Run &run, std::int32_t place, double mean, T *out) const {
  const HeadsView<T> &heads = model_.heads();
  const std::size_t row = std::size_t(run.features.rows[place]);
  const double *by_value = &run.memory.by_values[2 * row];
  const T by_charge = T(by_value[0] - mean), by_ratio = T(run.memory.is_negative[row] ? -by_value[1] : by_value[1]);
  const T *slopes = run.memory.slopes.data() + std::ptrdiff_t(place) * heads.n_hidden;
  for (int h = 0; h < heads.n_hidden; ++h) out[h] = slopes[h] * (h < heads.n_charge_hidden ? by_charge : by_ratio);
}

template <class T>
EnergyTerms<T>::EnergyTerms(const EnergyTermsParameters &parameters, math::Envelope envelope,
                            const std::string &kernels)
    : implementation_(std::make_unique<Implementation>(parameters, envelope, kernels)) {}
template <class T>
EnergyTerms<T>::EnergyTerms(EnergyTerms &&) noexcept = default;
template <class T>
EnergyTerms<T> &EnergyTerms<T>::operator=(EnergyTerms &&) noexcept = default;
template <class T>
EnergyTerms<T>::~EnergyTerms() = default;

template <class T>
double EnergyTerms<T>::cutoff() const {
  return std::max(implementation_->reach().long_range, implementation_->reach().repulsion);
}

template <class T>
double EnergyTerms<T>::reach() const {
  return implementation_->reach().long_range;
}

template <class T>
bool EnergyTerms<T>::is_long_ranged() const {
  return implementation_->is_long_ranged();
}

template <class T>
bool EnergyTerms<T>::has_charges() const {
  return implementation_->has_charges();
}

template <class T>
const std::vector<std::string> &EnergyTerms<T>::details() const {
  return implementation_->details();
}

template <class T>
std::size_t EnergyTerms<T>::memory_usage() const {
  return implementation_->memory_usage();
}

template <class T>
void EnergyTerms<T>::add(const Neighborhood &atoms, const AtomFeatures<T> &features, FirstFailure &failure,
                         Results &results) const {
  implementation_->add(atoms, features, failure, results);
}

template class EnergyTerms<float>;
template class EnergyTerms<double>;

}  // namespace panna_plus
