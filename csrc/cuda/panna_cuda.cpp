#include "cuda/panna_cuda.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/descriptor.h"
#include "cuda/device.h"
#include "cuda/extrapolation.h"
#include "cuda/networks.h"
#include "cuda/workspace.h"
#include "potential/panna_parameters.h"
#include "system/neighbors.h"

namespace panna_plus {
namespace cuda {
namespace {

/// How the gradients of pairs become forces.
enum class ForceSum { gather, atomics };

ForceSum force_sum_named(const std::string &kernels) {
  if (kernels.empty() || kernels == "gather") return ForceSum::gather;
  require(kernels == "atomics", "kernels '" + kernels + "' are not available on CUDA: expected gather or atomics");
  return ForceSum::atomics;
}

/// 1 / squared distance, 0 where there is none to compare with.
std::vector<double> closeness_of(const std::vector<double> &shortest_distances) {
  std::vector<double> out;
  for (const double r : shortest_distances) out.push_back(r > 0.0 ? 1.0 / (r * r) : 0.0);
  return out;
}

/// Workspaces that no evaluation uses at the moment: as many as ever ran at once.
template <class T>
class Pool {
 public:
  /// The one that has the list of this generation if there is such a one.
  std::unique_ptr<Workspace<T>> take(std::int64_t generation) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace<T>>();
    std::size_t chosen = 0;
    while (chosen + 1 < idle_.size() && idle_[chosen]->list.generation() != generation) ++chosen;
    std::unique_ptr<Workspace<T>> found = std::move(idle_[chosen]);
    idle_.erase(idle_.begin() + std::ptrdiff_t(chosen));
    return found;
  }
  void give_back(std::unique_ptr<Workspace<T>> workspace) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace<T>>> idle_;
};

template <class T>
class PannaCuda final : public Potential {
 public:
  PannaCuda(const ModelFile &file, PannaParameters parameters, ForceSum force_sum, int device);
  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override {
    return descriptor_.bytes() + networks_.bytes() + extrapolation_.bytes() + closeness_.bytes();
  }

 private:
  void evaluate(const Neighborhood &atoms, Workspace<T> &work, Results &results) const;
  void describe(Workspace<T> &work, const Results &wanted) const;
  void apply_member(int member, Workspace<T> &work, double share, bool adds) const;
  void finish_pass(const Neighborhood &atoms, Workspace<T> &work, const Results &wanted) const;
  T *feature_gradients(const Workspace<T> &work) const {
    // A single perceptron overwrites the features, which nobody needs any more.
    return panna_.n_members > 1 ? work.feature_gradients.data() : work.features.data();
  }
  void sum_forces(Workspace<T> &work, const AtomResults &out) const;
  [[noreturn]] void refuse(const Neighborhood &atoms, const NeighborList &list, ErrorWord error) const;

  int device_;
  ForceSum force_sum_;
  PannaParameters panna_;
  Stream stream_;
  Descriptor<T> descriptor_;
  Networks<T> networks_;
  Extrapolation<T> extrapolation_;
  DeviceArray<double> closeness_;
  mutable Pool<T> pool_;
};

template <class T>
PannaCuda<T>::PannaCuda(const ModelFile &file, PannaParameters parameters, ForceSum force_sum, int device)
    : Potential(file, force_sum == ForceSum::gather ? "gather" : "atomics", "cuda:" + std::to_string(device)),
      device_(device),
      force_sum_(force_sum),
      panna_(std::move(parameters)),
      descriptor_(panna_, stream_),
      networks_(panna_, stream_),
      extrapolation_(panna_, stream_),
      closeness_(on_device(closeness_of(panna_.shortest_distances), stream_)) {
  panna_.networks.clear();
  panna_.statistics.clear();
  own_description().n_members = panna_.n_members;
  if (extrapolation_.is_known()) own_description().details.push_back(extrapolation_detail);
}

template <class T>
void PannaCuda<T>::compute(const Neighborhood &atoms, Results &results) const {
  const CurrentDevice current(device_);
  std::unique_ptr<Workspace<T>> work = pool_.take(atoms.generation);
  // A workspace is not given back after a failure: nothing is known about its state.
  evaluate(atoms, *work, results);
  pool_.give_back(std::move(work));
}

template <class T>
void PannaCuda<T>::evaluate(const Neighborhood &atoms, Workspace<T> &work, Results &results) const {
  const int n_members = panna_.n_members;
  work.list.update(atoms, panna_.n_elements, force_sum_ == ForceSum::gather, work.stream);
  work.fit(atoms, descriptor_.view(), std::max(networks_.scratch_size(), extrapolation_.scratch_size()), results);
  work.fit_beside(descriptor_.view(), n_members > 1, results.detail(extrapolation_detail) != nullptr);
  work.start(atoms);
  describe(work, results);
  if (results.member_energies || results.member_forces) {
    for (int m = 0; m < n_members; ++m) {
      apply_member(m, work, 1.0, false);
      finish_pass(atoms, work, results);
      work.add_to_member(m, atoms, results);
      work.add_to(atoms, results, 1.0 / n_members);
    }
  } else {
    for (int m = 0; m < n_members; ++m) apply_member(m, work, 1.0 / n_members, m > 0);
    finish_pass(atoms, work, results);
    work.add_to(atoms, results, 1.0);
  }
  work.consider_closest(atoms, results, panna_.shortest_distances.data(), panna_.n_elements);
  if (double *values = results.detail(extrapolation_detail)) work.set_extrapolations(values);
}

/// Features of the centres, and how far they are from the training data if that is wanted.
template <class T>
void PannaCuda<T>::describe(Workspace<T> &work, const Results &wanted) const {
  const SlotView<T> &slots = work.slots();
  sort_neighbors(work.source(), work.limits(descriptor_.limits(), closeness_.data()), slots,
                 work.pair_gradients.data(), work.error.data(), work.stream);
  descriptor_.describe(slots, work.features.data(), work.stream);
  if (!wanted.detail(extrapolation_detail)) return;
  extrapolation_.measure(work.list.groups(), work.network_scratch.data(), work.features.data(),
                         work.extrapolations.data(), work.stream);
}

/// Energies and dE/dG of a member, as a share in what is there.
template <class T>
void PannaCuda<T>::apply_member(int member, Workspace<T> &work, double share, bool adds) const {
  const NetworkOutput<T> output{feature_gradients(work), work.energies.data(), share, adds};
  networks_.apply(member, work.list.groups(), work.network_scratch.data(), work.features.data(), output,
                  work.error.data(), work.stream);
}

/// From dE/dG to forces and virials, and all of it to the host.
template <class T>
void PannaCuda<T>::finish_pass(const Neighborhood &atoms, Workspace<T> &work, const Results &wanted) const {
  const cudaStream_t stream = work.stream;
  descriptor_.contract(work.slots(), feature_gradients(work), work.slot_gradients.data(), work.pair_gradients.data(),
                       work.center_sums.data(), stream);
  const AtomResults out = work.atom_results(wanted);
  if (force_sum_ == ForceSum::atomics) {
    const std::size_t n = std::size_t(atoms.n_atoms);
    fill_bytes(out.forces, 0, 3 * n, stream);
    if (out.atomic_virials) fill_bytes(out.atomic_virials, 0, 6 * n, stream);
    if (out.centroid_virials) fill_bytes(out.centroid_virials, 0, 9 * n, stream);
  }
  sum_forces(work, out);
  work.finish(atoms, wanted);
  const ErrorWord error = *work.host_error.data();
  if (~error != 0) refuse(atoms, work.list, error);
}

template <class T>
void PannaCuda<T>::sum_forces(Workspace<T> &work, const AtomResults &out) const {
  if (force_sum_ == ForceSum::gather) {
    gather_forces(work.gradients(), work.list.reverse(), out, work.stream);
  } else {
    scatter_forces(work.gradients(), work.slots(), work.list.center_atoms(), work.list.neighbors(), out,
                   work.stream);
  }
}

/// The careful loops of the host say what is wrong with a centre that the device stumbled over.
template <class T>
void PannaCuda<T>::refuse(const Neighborhood &atoms, const NeighborList &list, ErrorWord error) const {
  const std::int64_t center = list.centers()[static_cast<std::size_t>(error >> 8)];
  const std::string name = "atom row " + std::to_string(center);
  if ((error & 0xff) == bad_energy) {
    throw Failure("the energy of " + name + " is not finite: its surroundings are far outside the training data");
  }
  require((error & 0xff) != too_many_neighbors, name + crowded);
  (void)center_species(atoms, center, panna_.n_elements);
  std::vector<NeighborRow> rows;
  ClosestPair ignored;
  gather_neighbors(atoms, center, {panna_.cutoff(), panna_.n_elements, panna_.shortest_distances.data()}, rows,
                   ignored);
  throw Failure(name + " has neighbours without a finite distance, or species changed while the list was kept");
}

}  // namespace
}  // namespace cuda

std::unique_ptr<Potential> build_panna_cuda(const ModelFile &file, Precision precision, const std::string &kernels,
                                            int device) {
  require(!has_repulsion(file), "model file '" + file.path() +
                                    "' has a repulsion beside its perceptrons, which the CUDA kernels do not evaluate: "
                                    "use device cpu, or backend torch");
  PannaParameters parameters = read_panna_parameters(file);
  const cuda::ForceSum force_sum = cuda::force_sum_named(kernels);
  cuda::require_device(device);
  const cuda::CurrentDevice current(device);
  if (precision == Precision::mixed) {
    return std::make_unique<cuda::PannaCuda<float>>(file, std::move(parameters), force_sum, device);
  }
  return std::make_unique<cuda::PannaCuda<double>>(file, std::move(parameters), force_sum, device);
}

}  // namespace panna_plus
