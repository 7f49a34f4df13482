#include "torch/script_potential.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/headeronly/version.h>
#include <torch/script.h>

#include <cmath>
#include <exception>
#include <vector>

#include "system/failure.h"
#include "torch/script_batch.h"
#include "torch/script_messages.h"

namespace panna_plus {
namespace {

struct Silence final : c10::WarningHandler {
  void process(const c10::Warning &) override {}
};

/// The state of libtorch in this thread for the length of one call; afterwards it is as before.
class TorchState {
  Silence silence_;
  c10::WarningUtils::WarningHandlerGuard warnings_{&silence_};
  torch::AutoGradMode gradients_{true};
  // Otherwise the first calls, and those after changes of sizes, are spent on specializing the program.
  torch::jit::GraphOptimizerEnabledGuard unspecialized_{false};
};

/// What libtorch says, without the places in its sources and in the program.
std::string reason_of(const std::exception &error) {
  const auto *fault = dynamic_cast<const c10::Error *>(&error);
  std::string text = fault ? fault->what_without_backtrace() : error.what();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  // A failure inside the program is described first by where it happened.
  const bool in_program = text.find("TorchScript interpreter") != std::string::npos;
  const std::size_t line_end = in_program ? text.rfind('\n') : text.find('\n');
  if (line_end == std::string::npos) return text;
  return in_program ? text.substr(line_end + 1) : text.substr(0, line_end);
}

/// Runs `body` in libtorch; what it throws becomes a Failure that begins with `what`.
template <class Body>
auto in_torch(const std::string &what, Body body) {
  const TorchState state;
  try {
    return body();
  } catch (const Failure &) {
    throw;
  } catch (const std::exception &error) {
    throw Failure(what + ": " + reason_of(error));
  }
}

std::string version_text(std::uint64_t version) {
  const auto part = [version](int shift) { return std::to_string(version >> shift & 0xff); };
  return part(56) + "." + part(48) + "." + part(40);
}

/// The C++ interface of libtorch changes with every minor release.
void check_version() {
  const std::uint64_t found = aoti_torch_abi_version(), expected = TORCH_ABI_VERSION;
  require(found >> 48 == expected >> 48,
          "the TorchScript backend was built for torch " + version_text(expected) + ", but this is torch " +
              version_text(found) + ": run 'panna-plus build'");
}

torch::jit::Module load(const std::string &path, Precision precision) {
  // Before libtorch chooses a number itself: it tells OpenMP, which the host uses as well.
  at::set_num_threads(1);
  torch::jit::Module program = torch::jit::load(path, torch::kCPU);
  // Buffers (geometry, statistics, reference energies) stay as they are: the program converts at its layers.
  const auto type = precision == Precision::mixed ? torch::kFloat32 : torch::kFloat64;
  for (const at::Tensor &parameter : program.parameters()) {
    if (parameter.is_floating_point()) parameter.set_data(parameter.to(type));
  }
  return program;
}

/// A view of `values`, which must outlive it.
template <class T>
at::Tensor tensor_of(std::vector<T> &values, std::vector<std::int64_t> shape, at::ScalarType type) {
  return torch::from_blob(values.data(), shape, torch::TensorOptions().dtype(type));
}

/// What a program is told beside pairs and species, as in `FrameStates` of panna_plus/graph.py: one frame.
struct FrameStates {
  at::Tensor of_atoms, charges, spins, is_owned;

  FrameStates(const Neighborhood &atoms, const ScriptBatch &batch)
      : of_atoms(at::zeros({static_cast<std::int64_t>(batch.rows.size())}, torch::kInt64)),
        charges(at::full({1}, atoms.total_charge, torch::kFloat64)),
        spins(at::full({1}, atoms.unpaired_electrons, torch::kFloat64)),
        is_owned(at::zeros_like(of_atoms, torch::kBool)) {
    is_owned.slice(0, 0, batch.n_centers).fill_(true);
  }
};

class ScriptPotential final : public Potential {
 public:
  ScriptPotential(const ModelFile &file, Precision precision)
      : Potential(file, "torchscript"),
        what_("the TorchScript part of model file '" + file.path() + "'"),
        n_elements_(static_cast<std::int64_t>(file.elements().size())),
        shortest_distances_(file.array("shortest_distances", {n_elements_, n_elements_})),
        program_(in_torch(what_, [&] { return load(file.path(), precision); })),
        forward_(in_torch(what_, [&] { return program_.get_method("forward"); })),
        is_local_(file.family() == "panna") {
    if (!is_local_) describe_messages(file, own_description());
  }

  void compute(const Neighborhood &atoms, Results &results) const override;
  std::size_t memory_usage() const override;

 private:
  struct Output {
    at::Tensor energies;   // (n_atoms) float64, eV
    at::Tensor gradients;  // (n_pairs, 3) float64, eV/angstrom
  };
  static torch::jit::Stack inputs_of(ScriptBatch &batch);
  Output evaluate(torch::jit::Stack inputs) const;
  void compute_all(const Neighborhood &atoms, const PairLimits &limits, Results &results) const;
  void set_details(const ScriptBatch &batch, torch::jit::Stack inputs, const FrameStates &states,
                   Results &results) const;
  at::Tensor checked(const at::Tensor &found, const std::vector<std::int64_t> &shape, const char *name) const;
  static void add(const ScriptBatch &batch, const Output &output, Results &results);

  std::string what_;
  std::int64_t n_elements_;
  std::vector<double> shortest_distances_;  // (S, S), angstrom
  torch::jit::Module program_;
  torch::jit::Method forward_;
  bool is_local_;  // centers and their neighbors are enough
};

void ScriptPotential::compute(const Neighborhood &atoms, Results &results) const {
  // The host's own number: OpenMP keeps it, and the host may share out its loops by it.
  at::set_num_threads(atoms.n_threads);
  const PairLimits limits{description().cutoff, static_cast<int>(n_elements_), shortest_distances_.data()};
  if (!is_local_) return compute_all(atoms, limits, results);
  ScriptBatch batch(atoms.n_atoms);
  for (std::int64_t next = 0; next < atoms.n_centers;) {
    next = batch.gather(atoms, next, limits, results.closest);
    if (batch.n_centers > 0) add(batch, evaluate(inputs_of(batch)), results);
  }
}

/// One graph of the centers and all that their energies depend on: sums over the centers are taken in the program.
void ScriptPotential::compute_all(const Neighborhood &atoms, const PairLimits &limits, Results &results) const {
  require(!atoms.exchange || !atoms.exchange->has_images(),
          "the TorchScript backend evaluates what is around the centres itself: expected neighbour lists of all rows "
          "within reach of them, found an exchange of images");
  ScriptBatch batch(atoms.n_atoms);
  batch.gather_all(atoms, limits, {description().message_cutoff, description().n_exchanges}, results.closest);
  if (batch.n_centers == 0) return;
  const FrameStates states(atoms, batch);
  torch::jit::Stack inputs = inputs_of(batch);
  set_details(batch, inputs, states, results);
  inputs.insert(inputs.end(), {torch::jit::IValue(), states.charges, states.spins, states.is_owned});
  add(batch, evaluate(std::move(inputs)), results);
}

torch::jit::Stack ScriptPotential::inputs_of(ScriptBatch &batch) {
  const auto n_atoms = static_cast<std::int64_t>(batch.rows.size());
  const auto n_pairs = static_cast<std::int64_t>(batch.centers.size());
  return {tensor_of(batch.displacements, {n_pairs, 3}, torch::kFloat64),
          tensor_of(batch.centers, {n_pairs}, torch::kInt64), tensor_of(batch.neighbors, {n_pairs}, torch::kInt64),
          tensor_of(batch.species, {n_atoms}, torch::kInt64)};
}

ScriptPotential::Output ScriptPotential::evaluate(torch::jit::Stack inputs) const {
  const std::int64_t n_pairs = inputs[0].toTensor().size(0), n_atoms = inputs[3].toTensor().size(0);
  return in_torch(what_, [&] {
    const torch::jit::IValue outputs = forward_(std::move(inputs));
    require(outputs.isTuple() && outputs.toTupleRef().size() == 2,
            what_ + " does not return energies and gradients: export the model again");
    const auto &pair = outputs.toTupleRef().elements();
    return Output{checked(pair[0].toTensor(), {n_atoms}, "energies"),
                  checked(pair[1].toTensor(), {n_pairs, 3}, "gradients")};
  });
}

/// A second evaluation, without gradients: `forward` gives energies alone.
void ScriptPotential::set_details(const ScriptBatch &batch, torch::jit::Stack inputs, const FrameStates &states,
                                  Results &results) const {
  if (results.n_details == 0) return;
  in_torch(what_, [&] {
    const torch::NoGradGuard no_gradients;
    torch::jit::Method method = program_.get_method("atomic_values");
    const auto &argument = method.function().getSchema().arguments().back().type()->expectRef<c10::OptionalType>();
    inputs.push_back(c10::ivalue::Tuple::createNamed({states.of_atoms, states.charges, states.spins, states.is_owned},
                                                     argument.getElementType()->expect<c10::TupleType>()));
    const auto outputs = method(std::move(inputs)).toGenericDict();
    for (int d = 0; d < results.n_details; ++d) {
      const char *name = results.details[d].name;
      const at::Tensor found = checked(outputs.at(name).toTensor(), {states.of_atoms.size(0)}, name);
      const double *per_atom = found.const_data_ptr<double>();
      double *values = results.details[d].values;
      for (std::int64_t center = 0; center < batch.n_centers; ++center) {
        values[batch.rows[static_cast<std::size_t>(center)]] = per_atom[center];
      }
    }
  });
}

at::Tensor ScriptPotential::checked(const at::Tensor &found, const std::vector<std::int64_t> &shape,
                                    const char *name) const {
  require(found.sizes() == at::IntArrayRef(shape),
          what_ + " returned " + name + " of another shape than its inputs ask for: export the model again");
  return found.to(torch::kFloat64).contiguous();
}

void ScriptPotential::add(const ScriptBatch &batch, const Output &output, Results &results) {
  const double *energies = output.energies.const_data_ptr<double>();
  for (std::int64_t center = 0; center < batch.n_centers; ++center) {
    const std::int64_t row = batch.rows[static_cast<std::size_t>(center)];
    require(std::isfinite(energies[center]), "the energy of atom row " + std::to_string(row) +
                                                 " is not finite: its surroundings are far outside the training data");
    results.add_atomic_energy(row, energies[center]);
  }
  const double *gradients = output.gradients.const_data_ptr<double>();
  for (std::size_t pair = 0; pair < batch.centers.size(); ++pair) {
    results.add_pair(batch.rows[static_cast<std::size_t>(batch.centers[pair])],
                     batch.rows[static_cast<std::size_t>(batch.neighbors[pair])], &batch.displacements[3 * pair],
                     gradients + 3 * pair);
  }
}

std::size_t ScriptPotential::memory_usage() const {
  std::size_t bytes = shortest_distances_.size() * sizeof(double);
  for (const at::Tensor &tensor : program_.parameters()) bytes += tensor.nbytes();
  for (const at::Tensor &tensor : program_.buffers()) bytes += tensor.nbytes();
  return bytes;
}

}  // namespace

std::unique_ptr<Potential> build_script_potential(const ModelFile &file, const Opening &opening) {
  require(opening.kernels.empty(),
          "the TorchScript backend has no kernels to choose from, found '" + opening.kernels + "'");
  check_version();
  return std::make_unique<ScriptPotential>(file, opening.precision);
}

}  // namespace panna_plus
