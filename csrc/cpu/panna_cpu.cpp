#include "cpu/panna_cpu.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cpu/arena.h"
#include "cpu/panna_atom.h"
#include "cpu/panna_model.h"
#include "cpu/partial_results.h"
#include "system/failure.h"
#include "system/neighbors.h"
#include "system/threads.h"

namespace panna_plus {
namespace {

constexpr int most_lanes = 64;  // of a block, in any instruction set

/// Centres of one element that go through the perceptron together.
struct Block {
  int species;
  const std::int64_t *centers;
  int n;
};

/// The centres sorted by element, and the blocks they form.
struct BlockList {
  std::vector<std::int64_t> centers;
  std::vector<Block> blocks;
};

BlockList blocks_of(const Neighborhood &atoms, int n_elements, int size) {
  std::vector<std::size_t> first(static_cast<std::size_t>(n_elements) + 1, 0);
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const int species = center_species(atoms, atoms.centers[n], n_elements);
    if (species >= 0) ++first[static_cast<std::size_t>(species) + 1];
  }
  for (std::size_t s = 1; s < first.size(); ++s) first[s] += first[s - 1];
  BlockList list;
  list.centers.resize(first.back());
  std::vector<std::size_t> next(first.begin(), first.end() - 1);
  for (std::int64_t n = 0; n < atoms.n_centers; ++n) {
    const std::int32_t species = atoms.species[atoms.centers[n]];
    if (species >= 0) list.centers[next[static_cast<std::size_t>(species)]++] = atoms.centers[n];
  }
  for (int s = 0; s < n_elements; ++s) {
    const std::size_t end = first[static_cast<std::size_t>(s) + 1];
    for (std::size_t at = first[static_cast<std::size_t>(s)]; at < end; at += static_cast<std::size_t>(size)) {
      const int n = static_cast<int>(std::min(end - at, static_cast<std::size_t>(size)));
      list.blocks.push_back({s, list.centers.data() + at, n});
    }
  }
  return list;
}

/// Memory of one thread: kept between calls, so that a step of MD allocates nothing.
struct Workspace {
  Arena arena;
  PartialResults partial;
};

Workspace &workspace(int rank) {
  // Owned by the calling thread, one for each of its helpers: helpers come and go with every call.
  thread_local std::vector<std::unique_ptr<Workspace>> all;
  while (all.size() <= static_cast<std::size_t>(rank)) all.push_back(std::make_unique<Workspace>());
  return *all[static_cast<std::size_t>(rank)];
}

template <class T>
class PannaCpu final : public Potential {
 public:
  PannaCpu(const ModelFile &file, PannaParameters parameters, const std::string &name, const PannaKernels<T> &kernels);
  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override { return model_.memory_usage(); }

 private:
  /// Memory of one block on its way through descriptor, perceptrons and back. A matrix has one row per feature.
  struct BlockMemory {
    int n_gradients;  // one, of the mean, or one of each member
    T *scratch;
    T *of_atom;    // (n_gradients, n_features): of one atom
    T *features;   // matrix
    T *gradients;  // (n_gradients) matrices
    T *x, *y, *slopes, *energies;
    PannaAtom<T> *atoms;

    T *gradient(int n, std::size_t matrix_size) const { return gradients + std::size_t(n) * matrix_size; }
  };

  BlockMemory take_memory(int species, int n_gradients, Arena &arena) const;
  std::size_t matrix_size() const { return std::size_t(model_.descriptor().n_features) * std::size_t(kernels_.block); }
  int n_gradients_for(const Results &results) const { return results.member_forces ? panna_.n_members : 1; }
  void compute_block(const Neighborhood &atoms, const Block &block, Arena &arena, Results &results) const;
  void describe(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                ClosestPair &closest) const;
  void standardize(const T *features, const T *mean, const T *inverse_scale, T *x) const;
  void apply_member(int member, int species, const BlockMemory &memory) const;
  void keep_gradient(int member, int species, const BlockMemory &memory) const;
  void apply_networks(const Block &block, const BlockMemory &memory, Results &results) const;
  void add_energies(const Block &block, const double *sums, Results &results) const;
  void measure_extrapolation(const Block &block, const BlockMemory &memory, double *values) const;
  void contract(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                Results &results) const;
  void find_lone_atom_energies();
  std::size_t place(int member, int species) const {
    return std::size_t(member) * std::size_t(panna_.n_elements) + std::size_t(species);
  }

  PannaParameters panna_;
  const PannaKernels<T> &kernels_;
  PannaModel<T> model_;
  std::vector<double> lone_atom_;  // (n_members, n_elements), subtracted from the perceptron's value
};

template <class T>
PannaCpu<T>::PannaCpu(const ModelFile &file, PannaParameters parameters, const std::string &name,
                      const PannaKernels<T> &kernels)
    : Potential(file, name),
      panna_(std::move(parameters)),
      kernels_(kernels),
      model_(panna_, kernels),
      lone_atom_(panna_.networks.size(), 0.0) {
  panna_.networks.clear();
  own_description().n_members = panna_.n_members;
  if (!panna_.statistics.empty()) own_description().details.push_back(extrapolation_detail);
  if (panna_.subtract_lone_atom) find_lone_atom_energies();
}

/// The perceptrons at zero neighbours, by the very kernel that evaluates atoms: a lone atom has exactly its
/// reference energy.
template <class T>
void PannaCpu<T>::find_lone_atom_energies() {
  Arena arena;
  for (int s = 0; s < panna_.n_elements; ++s) {
    const BlockMemory memory = take_memory(s, 1, arena);
    std::fill_n(memory.features, matrix_size(), T(0));
    for (int m = 0; m < panna_.n_members; ++m) {
      apply_member(m, s, memory);
      lone_atom_[place(m, s)] = double(memory.energies[0]);
    }
  }
}

template <class T>
typename PannaCpu<T>::BlockMemory PannaCpu<T>::take_memory(int species, int n_gradients, Arena &arena) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  const std::size_t block = static_cast<std::size_t>(kernels_.block), n = static_cast<std::size_t>(n_gradients);
  int widest = 0, n_slopes = 0;
  for (int m = 0; m < panna_.n_members; ++m) {
    widest = std::max(widest, model_.network(m, species).widest);
    n_slopes = std::max(n_slopes, model_.network(m, species).n_slopes);
  }
  BlockMemory memory;
  memory.n_gradients = n_gradients;
  memory.scratch = arena.take<T>(kernels_.scratch_size(descriptor, n_gradients));
  memory.of_atom = arena.take<T>(n * static_cast<std::size_t>(descriptor.n_features) + kernels_.lanes);
  memory.features = arena.take<T>(matrix_size());
  memory.gradients = arena.take<T>(n * matrix_size());
  memory.x = arena.take<T>(static_cast<std::size_t>(widest) * block);
  memory.y = arena.take<T>(static_cast<std::size_t>(widest) * block);
  memory.slopes = arena.take<T>(static_cast<std::size_t>(n_slopes) * block);
  memory.energies = arena.take<T>(block);
  memory.atoms = arena.take<PannaAtom<T>>(block);
  return memory;
}

template <class T>
void PannaCpu<T>::compute(const Neighborhood &atoms, Results &results) const {
  const BlockList list = blocks_of(atoms, panna_.n_elements, kernels_.block);
  const int n_blocks = static_cast<int>(list.blocks.size());
  const int n_threads = std::max(1, std::min(atoms.n_threads, n_blocks));
  if (n_threads == 1) {
    for (const Block &block : list.blocks) compute_block(atoms, block, workspace(0).arena, results);
    return;
  }
  std::vector<Workspace *> workspaces;
  for (int rank = 0; rank < n_threads; ++rank) workspaces.push_back(&workspace(rank));
  run_in_threads(n_threads, [&](int rank) {
    Workspace &mine = *workspaces[static_cast<std::size_t>(rank)];
    mine.partial.reset(results, atoms.n_atoms, panna_.n_members);
    // Dealt out in turn: balanced, and the order of every sum is the same in every run.
    for (int b = rank; b < n_blocks; b += n_threads) {
      compute_block(atoms, list.blocks[static_cast<std::size_t>(b)], mine.arena, mine.partial.results());
    }
  });
  for (Workspace *each : workspaces) each->partial.add_to(results, atoms.n_atoms, panna_.n_members);
}

template <class T>
void PannaCpu<T>::compute_block(const Neighborhood &atoms, const Block &block, Arena &arena, Results &results) const {
  arena.reset();
  const BlockMemory memory = take_memory(block.species, n_gradients_for(results), arena);
  describe(atoms, block, memory, arena, results.closest);
  if (double *values = results.detail(extrapolation_detail)) measure_extrapolation(block, memory, values);
  apply_networks(block, memory, results);
  contract(atoms, block, memory, arena, results);
}

template <class T>
void PannaCpu<T>::describe(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                           ClosestPair &closest) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  const PairLimits limits{panna_.cutoff(), panna_.n_elements, panna_.shortest_distances.data()};
  for (int lane = 0; lane < block.n; ++lane) {
    memory.atoms[lane] = sorted_atom(atoms, block.centers[lane], limits, descriptor, kernels_.lanes, arena, closest);
    kernels_.prepare(descriptor, memory.atoms[lane].view);
    kernels_.describe(descriptor, memory.atoms[lane].view, memory.scratch, memory.of_atom);
    T *feature = memory.features + lane;
    for (int f = 0; f < descriptor.n_features; ++f, feature += kernels_.block) *feature = memory.of_atom[f];
  }
  for (int f = 0; f < descriptor.n_features; ++f) {
    T *row = memory.features + std::ptrdiff_t(f) * kernels_.block;
    std::fill(row + block.n, row + kernels_.block, T(0));
  }
}

/// x = (features - mean) inverse_scale for the atoms of a block.
template <class T>
void PannaCpu<T>::standardize(const T *features, const T *mean, const T *inverse_scale, T *x) const {
  const int block = kernels_.block;
  for (int f = 0; f < model_.descriptor().n_features; ++f, features += block, x += block) {
    const T shift = mean[f], factor = inverse_scale[f];
    for (int lane = 0; lane < block; ++lane) x[lane] = (features[lane] - shift) * factor;
  }
}

/// From the features of a block to a member's energies and, in x, their derivatives by its scaled features.
template <class T>
void PannaCpu<T>::apply_member(int member, int species, const BlockMemory &memory) const {
  standardize(memory.features, model_.feature_mean(member, species), model_.inverse_scale(member, species), memory.x);
  kernels_.network(model_.network(member, species), memory.x, memory.y, memory.slopes, memory.energies);
}

/// Energies of all members, and the derivatives of their mean, or of each of them, by the features.
template <class T>
void PannaCpu<T>::apply_networks(const Block &block, const BlockMemory &memory, Results &results) const {
  const int n_members = panna_.n_members;
  double sums[most_lanes] = {};
  for (int m = 0; m < n_members; ++m) {
    apply_member(m, block.species, memory);
    double own = 0.0;
    for (int lane = 0; lane < block.n; ++lane) {
      const std::size_t p = place(m, block.species);
      const double energy = panna_.reference_energies[p] + (double(memory.energies[lane]) - lone_atom_[p]);
      sums[lane] += energy;
      own += energy;
    }
    if (results.member_energies) results.member_energies[m] += own;
    keep_gradient(m, block.species, memory);
  }
  add_energies(block, sums, results);
}

/// After apply_member: dE/dG of a member, or its share in that of the mean.
template <class T>
void PannaCpu<T>::keep_gradient(int member, int species, const BlockMemory &memory) const {
  const bool is_mean = memory.n_gradients == 1, is_first = !is_mean || member == 0;
  const T share = is_mean ? T(1.0 / panna_.n_members) : T(1), *x = memory.x;
  const T *inverse_scale = model_.inverse_scale(member, species);
  T *row = memory.gradient(is_mean ? 0 : member, matrix_size());
  for (int f = 0; f < model_.descriptor().n_features; ++f, x += kernels_.block, row += kernels_.block) {
    const T factor = inverse_scale[f] * share;
    if (is_first) {
      for (int lane = 0; lane < kernels_.block; ++lane) row[lane] = x[lane] * factor;
    } else {
      for (int lane = 0; lane < kernels_.block; ++lane) row[lane] += x[lane] * factor;
    }
  }
}

template <class T>
void PannaCpu<T>::add_energies(const Block &block, const double *sums, Results &results) const {
  for (int lane = 0; lane < block.n; ++lane) {
    const double value = sums[lane] / panna_.n_members;
    if (!std::isfinite(value)) {
      throw Failure("the energy of atom row " + std::to_string(block.centers[lane]) +
                    " is not finite: its surroundings are far outside the training data");
    }
    results.add_atomic_energy(block.centers[lane], value);
  }
}

template <class T>
void PannaCpu<T>::measure_extrapolation(const Block &block, const BlockMemory &memory, double *values) const {
  const PannaExtrapolation<T> &measure = *model_.extrapolation(block.species);
  standardize(memory.features, measure.mean, measure.inverse_deviation, memory.x);
  kernels_.quadratic_form(measure.form, memory.x, memory.energies);
  for (int lane = 0; lane < block.n; ++lane) values[block.centers[lane]] = std::sqrt(double(memory.energies[lane]));
}

template <class T>
void PannaCpu<T>::contract(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                           Results &results) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  const int n = memory.n_gradients, n_features = descriptor.n_features;
  ContractionViews<T> views(memory.atoms, block.n, n, descriptor, arena);
  for (int lane = 0; lane < block.n; ++lane) {
    const PannaAtom<T> &atom = memory.atoms[lane];
    for (int v = 0; v < n; ++v) {
      const T *gradient = memory.gradient(v, matrix_size()) + lane;
      T *const g = memory.of_atom + std::ptrdiff_t(v) * n_features;
      for (int f = 0; f < n_features; ++f) g[f] = gradient[std::ptrdiff_t(f) * kernels_.block];
    }
    const AtomView<T> *const of_atom = views.of(atom);
    kernels_.contract(descriptor, of_atom, n, memory.scratch, memory.of_atom);
    for (int v = 0; v < n && results.member_forces; ++v) {
      Results member;
      member.forces = results.member_forces + 3 * atoms.n_atoms * v;
      add_gradients(PannaAtom<T>{atom.center, atom.table, of_atom[v]}, member);
    }
    views.average(descriptor);
    add_gradients(atom, results);
  }
}

}  // namespace

std::unique_ptr<Potential> build_panna_cpu(const ModelFile &file, Precision precision, const std::string &kernels) {
  const CompiledKernels<PannaKernels> compiled = compiled_panna_kernels(kernels);
  PannaParameters parameters = read_panna_parameters(file);
  if (precision == Precision::mixed) {
    return std::make_unique<PannaCpu<float>>(file, std::move(parameters), compiled.name, *compiled.single);
  }
  return std::make_unique<PannaCpu<double>>(file, std::move(parameters), compiled.name, *compiled.double_);
}

}  // namespace panna_plus
