#include "c_api/panna_plus.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_api/cuda_library.h"
#include "c_api/guarded.h"
#include "c_api/precision.h"
#include "cpu/families.h"
#include "model_file/model_file.h"
#include "potential/mean_potential.h"
#include "potential/registry.h"
#include "system/failure.h"

namespace {

/// A description with the arrays that callers see. It may be moved, since its texts then stay where they are.
struct Shown {
  panna_plus::Description text;
  std::vector<const char *> elements, details;
};

}  // namespace

struct PannaPlusModel {
  std::unique_ptr<panna_plus::Potential> potential;
  Shown whole;
  std::vector<Shown> files;
};

namespace {

using panna_plus::guarded;
using panna_plus::require;

std::vector<const char *> pointers_to(const std::vector<std::string> &texts) {
  std::vector<const char *> pointers;
  for (const std::string &text : texts) pointers.push_back(text.c_str());
  return pointers;
}

/// The number of a CUDA device, or -1 for the CPU.
int device_number(const std::string &device) {
  if (device.empty() || device == "cpu") return -1;
  if (device == "cuda") return 0;
  const std::string number = device.rfind("cuda:", 0) == 0 ? device.substr(5) : "";
  require(!number.empty() && number.size() < 5 && number.find_first_not_of("0123456789") == std::string::npos,
          "panna_plus_open: device must be \"cpu\", \"cuda\" or \"cuda:\" and a number, got \"" + device + "\"");
  return std::stoi(number);
}

panna_plus::Opening opening_of(const PannaPlusOptions &options) {
  panna_plus::Opening opening;
  opening.precision = panna_plus::precision_of(options.precision, "panna_plus_open");
  opening.kernels = options.kernels ? options.kernels : "";
  opening.long_range_cutoff = options.long_range_cutoff;
  opening.dispersion_damping = options.dispersion_damping;
  return opening;
}

Shown shown(panna_plus::Description text) {
  Shown it{std::move(text), {}, {}};
  it.elements = pointers_to(it.text.elements);
  it.details = pointers_to(it.text.details);
  return it;
}

PannaPlusDescription described(const Shown &known, std::size_t n_files) {
  const panna_plus::Description &text = known.text;
  return {text.family.c_str(),   static_cast<int32_t>(known.elements.size()),
          known.elements.data(), text.cutoff,
          text.card.c_str(),     text.weights_sha256.c_str(),
          text.kernels.c_str(),  text.device.c_str(),
          text.message_cutoff,   text.reach,
          text.n_exchanges,      text.uses_charge,
          text.uses_spin,        static_cast<int32_t>(known.details.size()),
          known.details.data(),  text.n_members,
          static_cast<int32_t>(n_files)};
}

std::unique_ptr<panna_plus::Potential> open_file(const char *path, const panna_plus::Opening &opening, int device) {
  require(path != nullptr, "panna_plus_open: paths must not be NULL");
  const panna_plus::ModelFile file = panna_plus::ModelFile::read(path);
  if (device < 0) return panna_plus::build_potential(panna_plus::cpu_families(), file, opening);
  return panna_plus::build_on_cuda(file, opening, device, panna_plus::cuda_library_path());
}

std::unique_ptr<PannaPlusModel> open_model(const char *const *paths, int32_t n_paths, const PannaPlusOptions &options) {
  require(paths != nullptr && n_paths > 0, "panna_plus_open: expected at least one path");
  const panna_plus::Opening opening = opening_of(options);
  const int device = device_number(options.device ? options.device : "");
  auto model = std::make_unique<PannaPlusModel>();
  std::vector<panna_plus::NamedPotential> potentials;
  for (int32_t n = 0; n < n_paths; ++n) {
    potentials.push_back({paths[n] ? paths[n] : "", open_file(paths[n], opening, device)});
    model->files.push_back(shown(potentials.back().potential->description()));
  }
  model->potential = panna_plus::mean_of(std::move(potentials));
  model->whole = shown(model->potential->description());
  return model;
}

/// The exchange of the host of the engine.
class HostExchange : public panna_plus::Exchange {
 public:
  explicit HostExchange(const PannaPlusExchange &host) : host_(host) {
    require(host.sum != nullptr, "panna_plus_compute: an exchange needs the function sum");
  }

  bool has_images() const override { return host_.to_images != nullptr; }
  void to_images(double *values, int width) const override {
    require(host_.to_images(host_.context, values, width) == 0, "the exchange of atoms with other processes failed");
  }
  void sum(double *values, int n) const override {
    require(host_.sum(host_.context, values, n) == 0, "the sum over processes failed");
  }

 private:
  PannaPlusExchange host_;
};

std::unique_ptr<panna_plus::Exchange> exchange_of(const PannaPlusNeighborhood &atoms) {
  require(!atoms.owners || !atoms.exchange, "panna_plus_compute: expected owners or an exchange, got both");
  if (atoms.owners) return std::make_unique<panna_plus::OwnersExchange>(atoms.n_atoms, atoms.owners);
  if (atoms.exchange) return std::make_unique<HostExchange>(*atoms.exchange);
  return nullptr;
}

panna_plus::Neighborhood view_of(const PannaPlusNeighborhood &atoms) {
  require(atoms.n_atoms >= 0 && atoms.n_centers >= 0, "panna_plus_compute: counts must not be negative");
  const bool complete = atoms.n_centers == 0 ||
                        (atoms.positions && atoms.species && atoms.centers && atoms.n_neighbors && atoms.neighbors);
  require(complete, "panna_plus_compute: positions, species, centers, n_neighbors and neighbors must not be NULL");
  panna_plus::Neighborhood view;
  view.n_atoms = atoms.n_atoms;
  view.positions = atoms.positions;
  view.species = atoms.species;
  view.n_centers = atoms.n_centers;
  view.centers = atoms.centers;
  view.n_neighbors = atoms.n_neighbors;
  view.neighbors = atoms.neighbors;
  view.neighbor_mask = atoms.neighbor_mask;
  view.n_threads = atoms.n_threads > 1 ? atoms.n_threads : 1;
  view.generation = atoms.generation;
  view.total_charge = atoms.total_charge;
  view.unpaired_electrons = atoms.unpaired_electrons;
  return view;
}

std::vector<panna_plus::Detail> details_of(const PannaPlusResults &out, const panna_plus::Description &known) {
  std::vector<panna_plus::Detail> details;
  for (int32_t d = 0; d < out.n_details; ++d) {
    const char *name = out.details[d].name;
    const bool is_known = std::find(known.details.begin(), known.details.end(), name) != known.details.end();
    require(is_known, "panna_plus_compute: models of the family " + known.family + " give no '" + name + "'");
    details.push_back({name, out.details[d].values});
  }
  return details;
}

void compute(const PannaPlusModel &model, const PannaPlusNeighborhood &atoms, PannaPlusResults &out) {
  panna_plus::Results results;
  results.atomic_energies = out.atomic_energies;
  results.forces = out.forces;
  results.atomic_virials = out.atomic_virials;
  results.centroid_virials = out.centroid_virials;
  const std::vector<panna_plus::Detail> details = details_of(out, model.potential->description());
  require((!out.member_energies && !out.member_forces) || model.potential->description().n_members > 1,
          "panna_plus_compute: this model is no committee and has no members: 'panna-plus committee' merges some, and "
          "several files may be opened as one model");
  results.member_energies = out.member_energies;
  results.member_forces = out.member_forces;
  results.details = details.data();
  results.n_details = static_cast<int>(details.size());
  panna_plus::Neighborhood view = view_of(atoms);
  const std::unique_ptr<panna_plus::Exchange> exchange = exchange_of(atoms);
  view.exchange = exchange.get();
  model.potential->compute(view, results);
  out.energy += results.energy;
  for (int a = 0; a < 6; ++a) out.virial[a] += results.virial[a];
  out.closest_ratio = results.closest.ratio;
  out.closest_distance = results.closest.distance;
  out.closest_center = results.closest.center;
  out.closest_neighbor = results.closest.neighbor;
}

std::string out_of_memory(const PannaPlusModel &model, const PannaPlusNeighborhood &atoms) {
  std::int64_t n_pairs = 0;
  for (std::int64_t c = 0; c < atoms.n_centers; ++c) n_pairs += atoms.n_neighbors[atoms.centers[c]];
  return "out of memory: " + std::to_string(atoms.n_centers) + " atoms and " +
         std::to_string(atoms.n_atoms - atoms.n_centers) + " images with " + std::to_string(n_pairs) +
         " listed pairs, beside a model of " + std::to_string(model.potential->memory_usage()) +
         " bytes: distribute the atoms over more processes or machines, take fewer threads, or a shorter skin";
}

}  // namespace

extern "C" {

int32_t panna_plus_abi_version(void) { return PANNA_PLUS_ABI_VERSION; }

int panna_plus_open(const char *const *paths, int32_t n_paths, const PannaPlusOptions *options,
                    PannaPlusModel **model) {
  return guarded([&] {
    require(options && model, "panna_plus_open: options and model must not be NULL");
    *model = nullptr;
    *model = open_model(paths, n_paths, *options).release();
  });
}

int32_t panna_plus_cuda_devices(void) {
  int32_t n = 0;
  (void)guarded([&] { n = panna_plus::cuda_device_count(panna_plus::cuda_library_path()); });
  return n;
}

const char *panna_plus_cuda_device_name(int32_t device) {
  thread_local std::string name;
  const int status = guarded([&] { name = panna_plus::cuda_device_name(device, panna_plus::cuda_library_path()); });
  return status == 0 ? name.c_str() : nullptr;
}

int panna_plus_describe(const PannaPlusModel *model, PannaPlusDescription *description) {
  return guarded([&] {
    require(model && description, "panna_plus_describe: model and description must not be NULL");
    *description = described(model->whole, model->files.size());
  });
}

int panna_plus_describe_file(const PannaPlusModel *model, int32_t file, PannaPlusDescription *description) {
  return guarded([&] {
    require(model && description, "panna_plus_describe_file: model and description must not be NULL");
    const auto n_files = static_cast<int32_t>(model->files.size());
    require(file >= 0 && file < n_files, "panna_plus_describe_file: expected a file from 0 to " +
                                             std::to_string(n_files - 1) + ", got " + std::to_string(file));
    *description = described(model->files[static_cast<std::size_t>(file)], 1);
  });
}

int panna_plus_compute(const PannaPlusModel *model, const PannaPlusNeighborhood *atoms, PannaPlusResults *results) {
  return guarded([&] {
    require(model && atoms && results, "panna_plus_compute: model, atoms and results must not be NULL");
    try {
      compute(*model, *atoms, *results);
    } catch (const std::bad_alloc &) {
      throw panna_plus::Failure(out_of_memory(*model, *atoms));
    }
  });
}

int64_t panna_plus_memory_usage(const PannaPlusModel *model) {
  return model ? static_cast<int64_t>(model->potential->memory_usage()) : 0;
}

void panna_plus_close(PannaPlusModel *model) { delete model; }

const char *panna_plus_last_error(void) { return panna_plus::last_error.c_str(); }

}  // extern "C"
