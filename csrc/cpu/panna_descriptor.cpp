#include "cpu/panna_descriptor.h"

#include <algorithm>

#include "cpu/arena.h"
#include "cpu/panna_atom.h"
#include "cpu/panna_model.h"

namespace panna_plus {
namespace {

template <class T>
class PannaDescriptorCpu final : public PairDescriptor {
 public:
  PannaDescriptorCpu(const PannaParameters &parameters, const PannaKernels<T> &kernels)
      : kernels_(kernels), model_(parameters, kernels), cutoff_(parameters.cutoff()) {}

  void forward(const PairLists &pairs, CenterRange range, double *features) const override;
  void backward(const PairLists &pairs, CenterRange range, const double *g, double *gradients) const override;
  void tangent(const PairLists &pairs, CenterRange range, const double *v, double *features) const override;
  int n_features() const override { return model_.descriptor().n_features; }

 private:
  /// Memory of one atom.
  struct AtomMemory {
    T *scratch, *features;
  };

  /// Calls visit(atom, memory, its first feature, its first pair) for every center, its slots prepared.
  template <class Visit>
  void for_each_atom(const PairLists &pairs, CenterRange range, Visit visit) const;

  const PannaKernels<T> &kernels_;
  PannaModel<T> model_;
  double cutoff_;
};

/// Memory of the calling thread, kept between calls.
Arena &thread_arena() {
  thread_local Arena arena;
  return arena;
}

template <class T>
template <class Visit>
void PannaDescriptorCpu<T>::for_each_atom(const PairLists &pairs, CenterRange range, Visit visit) const {
  const DescriptorView<T> &descriptor = model_.descriptor();
  check_pairs(pairs, range, descriptor.n_species);
  Arena &arena = thread_arena();
  for (std::int64_t center = range.first; center < range.last; ++center) {
    arena.reset();
    const AtomMemory memory{arena.take<T>(kernels_.scratch_size(descriptor, 1)),
                            arena.take<T>(static_cast<std::size_t>(descriptor.n_features + kernels_.lanes))};
    const PannaAtom<T> atom = sorted_atom(pairs, center, cutoff_, descriptor, kernels_.lanes, arena);
    kernels_.prepare(descriptor, atom.view);
    visit(atom, memory, center * descriptor.n_features, 3 * pairs.row_start[center]);
  }
}

template <class T>
void PannaDescriptorCpu<T>::forward(const PairLists &pairs, CenterRange range, double *features) const {
  for_each_atom(pairs, range, [&](const PannaAtom<T> &atom, const AtomMemory &memory, std::int64_t row, std::int64_t) {
    kernels_.describe(model_.descriptor(), atom.view, memory.scratch, memory.features);
    std::copy_n(memory.features, n_features(), features + row);
  });
}

template <class T>
void PannaDescriptorCpu<T>::backward(const PairLists &pairs, CenterRange range, const double *g,
                                     double *gradients) const {
  for_each_atom(pairs, range,
                [&](const PannaAtom<T> &atom, const AtomMemory &memory, std::int64_t row, std::int64_t pair) {
                  kernels_.fill_triplets(model_.descriptor(), atom.view);
                  std::copy_n(g + row, n_features(), memory.features);
                  kernels_.contract(model_.descriptor(), &atom.view, 1, memory.scratch, memory.features);
                  std::fill_n(gradients + pair, 3 * pairs.n_neighbors(atom.center), 0.0);
                  write_gradients(atom, gradients + pair);
                });
}

template <class T>
void PannaDescriptorCpu<T>::tangent(const PairLists &pairs, CenterRange range, const double *v,
                                    double *features) const {
  for_each_atom(pairs, range,
                [&](const PannaAtom<T> &atom, const AtomMemory &memory, std::int64_t row, std::int64_t pair) {
                  const TangentView<T> tangents = sorted_tangents(atom, v + pair, model_.descriptor(), thread_arena());
                  kernels_.tangent(model_.descriptor(), atom.view, tangents, memory.scratch, memory.features);
                  std::copy_n(memory.features, n_features(), features + row);
                });
}

}  // namespace

std::unique_ptr<PairDescriptor> build_panna_descriptor(const PannaParameters &parameters, Precision precision,
                                                       const std::string &kernels) {
  const CompiledKernels<PannaKernels> compiled = compiled_panna_kernels(kernels);
  if (precision == Precision::mixed) return std::make_unique<PannaDescriptorCpu<float>>(parameters, *compiled.single);
  return std::make_unique<PannaDescriptorCpu<double>>(parameters, *compiled.double_);
}

}  // namespace panna_plus
