#include "cpu/panna_cpu.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cpu/arena.h"
#include "cpu/instruction_sets.h"
#include "cpu/panna_atom.h"
#include "cpu/panna_model.h"
#include "cpu/partial_results.h"
#include "system/failure.h"
#include "system/neighbors.h"
#include "system/threads.h"

namespace panna_plus {
namespace {

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
  /// Memory of one block on its way through descriptor, perceptron and back.
  struct BlockMemory {
    T *scratch, *features, *x, *y, *slopes, *energies;
    PannaAtom<T> *atoms;
  };

  BlockMemory take_memory(const NetworkView<T> &network, Arena &arena) const;
  void compute_block(const Neighborhood &atoms, const Block &block, Arena &arena, Results &results) const;
  void describe(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                ClosestPair &closest) const;
  void add_energies(const Block &block, const BlockMemory &memory, Results &results) const;
  void contract(const Block &block, const BlockMemory &memory, Results &results) const;
  void find_lone_atom_energies();

  PannaParameters panna_;
  const PannaKernels<T> &kernels_;
  PannaModel<T> model_;
  std::vector<double> lone_atom_;  // subtracted from the perceptron's value
};

template <class T>
PannaCpu<T>::PannaCpu(const ModelFile &file, PannaParameters parameters, const std::string &name,
                      const PannaKernels<T> &kernels)
    : Potential(file, name),
      panna_(std::move(parameters)),
      kernels_(kernels),
      model_(panna_, kernels),
      lone_atom_(static_cast<std::size_t>(panna_.n_elements), 0.0) {
  panna_.networks.clear();
  if (panna_.subtract_lone_atom) find_lone_atom_energies();
}

/// The perceptrons at zero neighbours, by the very kernel that evaluates atoms: a lone atom has exactly its
/// reference energy.
template <class T>
void PannaCpu<T>::find_lone_atom_energies() {
  Arena arena;
  for (int s = 0; s < panna_.n_elements; ++s) {
    const BlockMemory memory = take_memory(model_.network(s), arena);
    for (int f = 0; f < model_.descriptor().n_features; ++f) {
      const T x = (T(0) - model_.feature_mean(s)[f]) * model_.inverse_scale(s)[f];
      std::fill_n(memory.x + std::ptrdiff_t(f) * kernels_.block, kernels_.block, x);
    }
    kernels_.network(model_.network(s), memory.x, memory.y, memory.slopes, memory.energies);
    lone_atom_[static_cast<std::size_t>(s)] = double(memory.energies[0]);
  }
}

template <class T>
typename PannaCpu<T>::BlockMemory PannaCpu<T>::take_memory(const NetworkView<T> &network, Arena &arena) const {
  const std::size_t block = static_cast<std::size_t>(kernels_.block);
  const std::size_t width = static_cast<std::size_t>(network.widest) * block;
  BlockMemory memory;
  memory.scratch = arena.take<T>(kernels_.scratch_size(model_.descriptor()));
  memory.features = arena.take<T>(static_cast<std::size_t>(model_.descriptor().n_features + kernels_.lanes));
  memory.x = arena.take<T>(width);
  memory.y = arena.take<T>(width);
  memory.slopes = arena.take<T>(static_cast<std::size_t>(network.n_slopes) * block);
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
    mine.partial.reset(results, atoms.n_atoms);
    // Dealt out in turn: balanced, and the order of every sum is the same in every run.
    for (int b = rank; b < n_blocks; b += n_threads) {
      compute_block(atoms, list.blocks[static_cast<std::size_t>(b)], mine.arena, mine.partial.results());
    }
  });
  for (Workspace *each : workspaces) each->partial.add_to(results, atoms.n_atoms);
}

template <class T>
void PannaCpu<T>::compute_block(const Neighborhood &atoms, const Block &block, Arena &arena, Results &results) const {
  arena.reset();
  const NetworkView<T> &network = model_.network(block.species);
  const BlockMemory memory = take_memory(network, arena);
  describe(atoms, block, memory, arena, results.closest);
  kernels_.network(network, memory.x, memory.y, memory.slopes, memory.energies);
  add_energies(block, memory, results);
  contract(block, memory, results);
}

template <class T>
void PannaCpu<T>::describe(const Neighborhood &atoms, const Block &block, const BlockMemory &memory, Arena &arena,
                           ClosestPair &closest) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  const PairLimits limits{panna_.cutoff(), panna_.n_elements, panna_.shortest_distances.data()};
  const T *mean = model_.feature_mean(block.species), *inverse_scale = model_.inverse_scale(block.species);
  for (int lane = 0; lane < block.n; ++lane) {
    memory.atoms[lane] = sorted_atom(atoms, block.centers[lane], limits, descriptor, kernels_.lanes, arena, closest);
    kernels_.prepare(descriptor, memory.atoms[lane].view);
    kernels_.describe(descriptor, memory.atoms[lane].view, memory.scratch, memory.features);
    T *x = memory.x + lane;
    for (int f = 0; f < descriptor.n_features; ++f, x += kernels_.block) {
      *x = (memory.features[f] - mean[f]) * inverse_scale[f];
    }
  }
  for (int f = 0; f < descriptor.n_features; ++f) {
    T *row = memory.x + std::ptrdiff_t(f) * kernels_.block;
    std::fill(row + block.n, row + kernels_.block, T(0));
  }
}

template <class T>
void PannaCpu<T>::add_energies(const Block &block, const BlockMemory &memory, Results &results) const {
  const std::size_t s = static_cast<std::size_t>(block.species);
  for (int lane = 0; lane < block.n; ++lane) {
    const double value = double(memory.energies[lane]) - lone_atom_[s];
    if (!std::isfinite(value)) {
      throw Failure("the energy of atom row " + std::to_string(block.centers[lane]) +
                    " is not finite: its surroundings are far outside the training data");
    }
    results.add_atomic_energy(block.centers[lane], panna_.reference_energies[s] + value);
  }
}

template <class T>
void PannaCpu<T>::contract(const Block &block, const BlockMemory &memory, Results &results) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  const T *inverse_scale = model_.inverse_scale(block.species);
  for (int lane = 0; lane < block.n; ++lane) {
    const T *x = memory.x + lane;
    for (int f = 0; f < descriptor.n_features; ++f, x += kernels_.block) memory.features[f] = *x * inverse_scale[f];
    kernels_.contract(descriptor, memory.atoms[lane].view, memory.scratch, memory.features);
    add_gradients(memory.atoms[lane], results);
  }
}

}  // namespace

std::unique_ptr<Potential> build_panna_cpu(const ModelFile &file, Precision precision, const std::string &kernels) {
  const InstructionSet &set = instruction_set(kernels);
  PannaParameters parameters = read_panna_parameters(file);
  if (precision == Precision::mixed) {
    return std::make_unique<PannaCpu<float>>(file, std::move(parameters), set.name, *set.single);
  }
  return std::make_unique<PannaCpu<double>>(file, std::move(parameters), set.name, *set.double_);
}

}  // namespace panna_plus
