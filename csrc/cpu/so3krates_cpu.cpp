#include "cpu/so3krates_cpu.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "cpu/compiled_kernels.h"
#include "cpu/energy_terms.h"
#include "cpu/partial_results.h"
#include "cpu/so3krates_embedding.h"
#include "cpu/so3krates_network.h"
#include "potential/so3krates_parameters.h"
#include "system/failure.h"
#include "system/first_failure.h"
#include "system/neighbors.h"
#include "system/threads.h"

namespace panna_plus {

PANNA_DECLARE_COMPILED(So3kratesKernels, so3krates)

namespace {

CompiledKernels<So3kratesKernels> compiled_kernels(const std::string &name) {
  static const auto all = PANNA_COMPILED(So3kratesKernels, so3krates);
  require(name != "reference", "models of the family so3krates have no kernels 'reference': take 'portable'");
  return compiled_for(name, all);
}

/// Memory of one evaluation, kept for the next one of the thread that called.
template <class T>
struct Workspace {
  So3kratesRows<T> rows;
  NetworkMemory<T> network;
  AlignedArray<T> element_features, weights;
  AlignedArray<T> features, gradients;  // (n_atoms, features) for the energy terms
  std::vector<double> energies;
  std::vector<std::int32_t> rows_with_features;
  std::vector<PartialResults> partial;
};

template <class T>
class So3kratesCpu final : public Potential {
 public:
  So3kratesCpu(const ModelFile &file, So3kratesParameters parameters, const CompiledKernels<So3kratesKernels> &compiled);
  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override { return model_.memory_usage() + terms_.memory_usage(); }

 private:
  struct Run {
    const Neighborhood &atoms;
    Results &results;
    Workspace<T> &memory;
    FirstFailure failure;
    SystemState state;
  };

  void describe();
  void check_state(const Neighborhood &atoms) const;
  RowLimits limits(const Results &wanted) const;
  void agree(Run &run) const;
  bool has_state(const SystemState &state) const;
  std::vector<T> padded_features(const SystemState &state) const;
  void find_lone_atom_energies();
  void read_out(Run &run, const T *x, T *adjoint) const;
  void add_energies(Run &run) const;
  void add_terms(Run &run, const T *x, T *adjoint) const;
  void add_gradients(Run &run) const;

  So3kratesParameters parameters_;
  const So3kratesKernels<T> &kernels_;
  So3kratesModel<T> model_;
  EnergyTerms<T> terms_;
  std::vector<double> constants_;  // (S) of the energy: reference, shift and last bias, less that of a lone atom
};

template <class T>
So3kratesCpu<T>::So3kratesCpu(const ModelFile &file, So3kratesParameters parameters, const CompiledKernels<So3kratesKernels> &compiled)
    : Potential(file, compiled.name),
      parameters_(std::move(parameters)),
      kernels_(compiled.of(T())),
      model_(parameters_, kernels_.lanes),
      terms_(parameters_.terms, parameters_.envelope, compiled.name) {
  for (So3kratesLayer &layer : parameters_.layers) layer = {};
  parameters_.tables = {};
  describe();
  find_lone_atom_energies();
}

template <class T>
void So3kratesCpu<T>::describe() {
  Description &own = own_description();
  const double cutoff = parameters_.envelope.cutoff;
  own.cutoff = std::max(cutoff, terms_.reach());
  own.message_cutoff = cutoff;
  own.reach = parameters_.n_layers() * cutoff + terms_.reach();
  own.n_exchanges = parameters_.n_layers() - 1 + terms_.is_long_ranged();
  own.uses_charge = parameters_.charge.has_value() || terms_.has_charges();
  own.uses_spin = parameters_.spin.has_value();
  own.details = {"network_energies"};
  own.details.insert(own.details.end(), terms_.details().begin(), terms_.details().end());
}

/// Features of elements in rows of whole packs.
template <class T>
std::vector<T> So3kratesCpu<T>::padded_features(const SystemState &state) const {
  const std::vector<double> features = element_features(parameters_, state);
  const std::size_t n = static_cast<std::size_t>(parameters_.n_features), width = model_.shape().features;
  std::vector<T> padded(static_cast<std::size_t>(parameters_.n_elements) * width, T(0));
  for (std::size_t k = 0; k < features.size(); ++k) padded[k / n * width + k % n] = T(features[k]);
  return padded;
}

/// By the very kernels that evaluate atoms, one neutral atom of every element without neighbours.
template <class T>
void So3kratesCpu<T>::find_lone_atom_energies() {
  const std::int64_t n = parameters_.n_elements, width = model_.shape().components;
  const std::vector<T> first = padded_features({0.0, 0.0, std::vector<double>(std::size_t(n), 0.0)});
  AlignedArray<T> x, v, scratch;
  std::copy(first.begin(), first.end(), x.sized(first.size()));
  v.zeroed(std::size_t(n * width));
  scratch.sized(kernels_.scratch_size(model_.layers().front(), model_.head()));
  for (const So3kratesLayerView<T> &layer : model_.layers()) {
    kernels_.transform(layer, {n, x.data(), v.data(), x.data(), v.data(), nullptr, nullptr}, scratch.data());
  }
  const std::vector<T> weights(std::size_t(n), T(1));
  std::vector<double> energies(std::size_t(n), 0.0);
  AlignedArray<T> ignored;
  kernels_.read_out(model_.shape(), model_.head(), n, x.data(), weights.data(), energies.data(),
                    ignored.sized(first.size()), scratch.data());
  for (std::size_t s = 0; s < std::size_t(n); ++s) {
    const double scale = parameters_.energy_scale[s];
    constants_.push_back(parameters_.subtract_lone_atom
                             ? -scale * energies[s]
                             : scale * parameters_.energy_outer.bias[0] + parameters_.energy_shift[s]);
  }
}

template <class T>
void So3kratesCpu<T>::check_state(const Neighborhood &atoms) const {
  const Description &known = description();
  const std::pair<const char *, double> used[] = {
      {"total charge", known.uses_charge ? atoms.total_charge : 0.0},
      {"number of unpaired electrons", known.uses_spin ? atoms.unpaired_electrons : 0.0}};
  for (const auto &[what, value] : used) {
    require(std::isfinite(value) && value == std::round(value),
            "the " + std::string(what) + " must be a whole number, found " + std::to_string(value));
  }
  const double spin = used[1].second, low = parameters_.spin_range[0], high = parameters_.spin_range[1];
  require(!known.uses_spin || (spin >= low && spin <= high),
          std::to_string(int(spin)) + " unpaired electrons: this model was trained with " + std::to_string(int(low)) +
              " to " + std::to_string(int(high)) +
              " and means nothing beyond (0 is a singlet: give the number of unpaired electrons, not the "
              "multiplicity)");
}

template <class T>
RowLimits So3kratesCpu<T>::limits(const Results &wanted) const {
  return {parameters_.n_layers(),     parameters_.n_elements,
          parameters_.envelope,       terms_.is_long_ranged() ? terms_.reach() : 0.0,
          parameters_.shortest_distances.data(), model_.spacing(),
          model_.n_knots(),           wanted.centroid_virials != nullptr};
}

template <class T>
bool So3kratesCpu<T>::has_state(const SystemState &state) const {
  return (parameters_.charge && state.charge != 0.0) || (parameters_.spin && state.spin != 0.0);
}

/// What all processes must know before the first exchange: whether one of them found a fault, and, where a charge or
/// spin is shared out among all atoms, how many there are of each element.
template <class T>
void So3kratesCpu<T>::agree(Run &run) const {
  std::vector<double> sums(1, run.failure.has_failed() ? 1.0 : 0.0);
  run.state = {run.atoms.total_charge, run.atoms.unpaired_electrons, {}};
  if (has_state(run.state)) sums.resize(1 + std::size_t(parameters_.n_elements), 0.0);
  if (sums.size() > 1 && !run.failure.has_failed()) {
    for (std::int64_t row = 0; row < run.memory.rows.n_centers(); ++row) {
      sums[1 + std::size_t(run.memory.rows.species()[std::size_t(row)])] += 1.0;
    }
  }
  if (run.atoms.exchange) run.atoms.exchange->sum(sums.data(), static_cast<int>(sums.size()));
  run.failure.rethrow();
  require(sums[0] == 0.0, "another process stopped: it says why");
  run.state.n_atoms.assign(sums.begin() + 1, sums.end());
  run.state.n_atoms.resize(std::size_t(parameters_.n_elements), 0.0);
}

template <class T>
void So3kratesCpu<T>::compute(const Neighborhood &atoms, Results &results) const {
  thread_local Workspace<T> memory;
  Run run{atoms, results, memory, {}, {}};
  run.failure.attempt([&] {
    check_state(atoms);
    // The energy terms read every row; what is wrong with one must be known before processes agree.
    for (std::int64_t row = 0; row < atoms.n_atoms; ++row) center_species(atoms, row, parameters_.n_elements);
    memory.rows.build(atoms, limits(results), results.closest);
  });
  agree(run);
  So3kratesNetwork<T> network(model_, kernels_, memory.rows, atoms, memory.network);
  const T *const x = network.forward(padded_features(run.state).data());
  T *const adjoint = network.adjoint();
  read_out(run, x, adjoint);
  add_terms(run, x, adjoint);
  network.backward();
  run.failure.rethrow();
  add_energies(run);
  add_gradients(run);
}

/// Energies of the heads and their derivatives with respect to the features.
template <class T>
void So3kratesCpu<T>::read_out(Run &run, const T *x, T *adjoint) const {
  const So3kratesRows<T> &rows = run.memory.rows;
  const std::int64_t n = rows.n_centers(), width = model_.shape().features;
  T *const weights = run.memory.weights.sized(std::size_t(n));
  for (std::int64_t row = 0; row < n; ++row) {
    weights[row] = T(parameters_.energy_scale[std::size_t(rows.species()[std::size_t(row)])]);
  }
  run.memory.energies.resize(std::size_t(n));
  const int n_threads = rows.n_threads();
  run_in_threads(n_threads, [&](int rank) {
    const std::int64_t begin = n * rank / n_threads, end = n * (rank + 1) / n_threads;
    kernels_.read_out(model_.shape(), model_.head(), end - begin, x + begin * width, weights + begin,
                      run.memory.energies.data() + begin, adjoint + begin * width,
                      run.memory.network.scratch[std::size_t(rank)].data());
  });
}

template <class T>
void So3kratesCpu<T>::add_terms(Run &run, const T *x, T *adjoint) const {
  const So3kratesRows<T> &rows = run.memory.rows;
  const std::size_t width = model_.shape().features, n_atoms = std::size_t(run.atoms.n_atoms);
  const std::size_t n_wanted = std::size_t(rows.n_wanted(parameters_.n_layers())), n = std::size_t(rows.n_centers());
  AtomFeatures<T> features;
  if (terms_.is_long_ranged()) {
    features.features = run.memory.features.sized(n_atoms * width);
    features.gradients = run.memory.gradients.sized(n_atoms * width);
    features.stride = static_cast<std::ptrdiff_t>(width);
    run.memory.rows_with_features.assign(rows.atoms().begin(), rows.atoms().begin() + std::ptrdiff_t(n_wanted));
    for (std::size_t row = 0; row < n_wanted; ++row) {
      const std::size_t atom = std::size_t(rows.atoms()[row]);
      std::copy_n(x + row * width, width, run.memory.features.data() + atom * width);
      std::fill_n(features.gradients + atom * width, width, T(0));
    }
    std::sort(run.memory.rows_with_features.begin(), run.memory.rows_with_features.end());
    features.rows = run.memory.rows_with_features.data();
    features.n_rows = std::int64_t(n_wanted);
  }
  terms_.add(run.atoms, features, run.failure, run.results);
  if (!terms_.is_long_ranged()) return;
  for (std::size_t row = 0; row < n; ++row) {
    const T *gradient = features.gradients + std::size_t(rows.atoms()[row]) * width;
    for (std::size_t k = 0; k < width; ++k) adjoint[row * width + k] += gradient[k];
  }
}

template <class T>
void So3kratesCpu<T>::add_energies(Run &run) const {
  const So3kratesRows<T> &rows = run.memory.rows;
  const bool is_plain = !has_state(run.state);
  double *const details = run.results.detail("network_energies");
  for (std::int64_t row = 0; row < rows.n_centers(); ++row) {
    const std::size_t s = std::size_t(rows.species()[std::size_t(row)]);
    const std::int32_t atom = rows.atoms()[std::size_t(row)];
    double value = parameters_.energy_scale[s] * run.memory.energies[std::size_t(row)] + constants_[s];
    // Rows of another number of atoms may be rounded differently: where nothing is seen, 0 itself.
    if (parameters_.subtract_lone_atom && is_plain && !rows.has_neighbors(row)) value = 0.0;
    if (!std::isfinite(value)) {
      throw Failure("the energy of atom row " + std::to_string(atom) +
                    " is not finite: its surroundings are far outside the training data");
    }
    run.results.add_atomic_energy(atom, parameters_.reference_energies[s] + value);
    if (details) details[atom] = parameters_.reference_energies[s] + value;
  }
}

template <class T>
void So3kratesCpu<T>::add_gradients(Run &run) const {
  So3kratesRows<T> &rows = run.memory.rows;
  auto add = [&](int rank, Results &results) {
    const PairArrays<T> &pairs = rows.pairs(rank);
    for (std::int64_t k = 0; k < pairs.size(); ++k) {
      results.add_pair(rows.atoms()[std::size_t(pairs.first(k))], rows.atoms()[std::size_t(pairs.second(k))],
                       pairs.displacement(k), pairs.gradient(k));
    }
  };
  const int n_threads = rows.n_threads();
  if (n_threads == 1) return add(0, run.results);
  std::vector<PartialResults> &partial = run.memory.partial;
  partial.resize(std::max(partial.size(), std::size_t(n_threads)));
  run_in_threads(n_threads, [&](int rank) {
    partial[std::size_t(rank)].reset(run.results, run.atoms.n_atoms);
    add(rank, partial[std::size_t(rank)].results());
  });
  for (int rank = 0; rank < n_threads; ++rank) partial[std::size_t(rank)].add_to(run.results, run.atoms.n_atoms);
}

}  // namespace

std::unique_ptr<Potential> build_so3krates_cpu(const ModelFile &file, const Opening &opening) {
  const CompiledKernels<So3kratesKernels> compiled = compiled_kernels(opening.kernels);
  So3kratesParameters parameters = read_so3krates_parameters(file, opening);
  if (opening.precision == Precision::mixed) {
    return std::make_unique<So3kratesCpu<float>>(file, std::move(parameters), compiled);
  }
  return std::make_unique<So3kratesCpu<double>>(file, std::move(parameters), compiled);
}

}  // namespace panna_plus
