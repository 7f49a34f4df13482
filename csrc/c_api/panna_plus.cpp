#include "c_api/panna_plus.h"

#include <memory>
#include <string>
#include <vector>

#include "c_api/cuda_library.h"
#include "c_api/guarded.h"
#include "c_api/precision.h"
#include "cpu/families.h"
#include "model_file/model_file.h"
#include "potential/registry.h"
#include "system/failure.h"

struct PannaPlusModel {
  std::unique_ptr<panna_plus::Potential> potential;
  std::vector<const char *> elements;
};

namespace {

using panna_plus::guarded;
using panna_plus::require;

/// The number of a CUDA device, or -1 for the CPU.
int device_number(const std::string &device) {
  if (device.empty() || device == "cpu") return -1;
  if (device == "cuda") return 0;
  const std::string number = device.rfind("cuda:", 0) == 0 ? device.substr(5) : "";
  require(!number.empty() && number.size() < 5 && number.find_first_not_of("0123456789") == std::string::npos,
          "panna_plus_open_on: device must be \"cpu\", \"cuda\" or \"cuda:\" and a number, got \"" + device + "\"");
  return std::stoi(number);
}

std::unique_ptr<PannaPlusModel> open_model(const char *path, PannaPlusPrecision precision, const std::string &kernels,
                                           const std::string &device) {
  require(path != nullptr, "panna_plus_open: path must not be NULL");
  const panna_plus::Precision used = panna_plus::precision_of(precision, "panna_plus_open");
  const int number = device_number(device);
  const panna_plus::ModelFile file = panna_plus::ModelFile::read(path);
  auto model = std::make_unique<PannaPlusModel>();
  if (number < 0) {
    model->potential = panna_plus::build_potential(panna_plus::cpu_families(), file, used, kernels);
  } else {
    model->potential = panna_plus::build_on_cuda(file, used, kernels, number, panna_plus::cuda_library_path());
  }
  for (const std::string &symbol : model->potential->description().elements) {
    model->elements.push_back(symbol.c_str());
  }
  return model;
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
  return view;
}

void compute(const PannaPlusModel &model, const PannaPlusNeighborhood &atoms, PannaPlusResults &out) {
  panna_plus::Results results;
  results.atomic_energies = out.atomic_energies;
  results.forces = out.forces;
  results.atomic_virials = out.atomic_virials;
  results.centroid_virials = out.centroid_virials;
  model.potential->compute(view_of(atoms), results);
  out.energy += results.energy;
  for (int a = 0; a < 6; ++a) out.virial[a] += results.virial[a];
  out.closest_ratio = results.closest.ratio;
  out.closest_distance = results.closest.distance;
  out.closest_center = results.closest.center;
  out.closest_neighbor = results.closest.neighbor;
}

}  // namespace

extern "C" {

int32_t panna_plus_abi_version(void) { return PANNA_PLUS_ABI_VERSION; }

int panna_plus_open(const char *path, PannaPlusPrecision precision, PannaPlusModel **model) {
  return panna_plus_open_with(path, precision, nullptr, model);
}

int panna_plus_open_with(const char *path, PannaPlusPrecision precision, const char *kernels, PannaPlusModel **model) {
  return panna_plus_open_on(path, precision, kernels, "cpu", model);
}

int panna_plus_open_on(const char *path, PannaPlusPrecision precision, const char *kernels, const char *device,
                       PannaPlusModel **model) {
  return guarded([&] {
    require(model != nullptr, "panna_plus_open: model must not be NULL");
    *model = nullptr;
    *model = open_model(path, precision, kernels ? kernels : "", device ? device : "").release();
  });
}

int32_t panna_plus_cuda_devices(void) {
  int32_t n = 0;
  (void)guarded([&] { n = panna_plus::cuda_device_count(panna_plus::cuda_library_path()); });
  return n;
}

int panna_plus_describe(const PannaPlusModel *model, PannaPlusDescription *description) {
  return guarded([&] {
    require(model && description, "panna_plus_describe: model and description must not be NULL");
    const panna_plus::Description &known = model->potential->description();
    *description = {known.family.c_str(),   static_cast<int32_t>(model->elements.size()),
                    model->elements.data(), known.cutoff,
                    known.card.c_str(),     known.weights_sha256.c_str(),
                    known.kernels.c_str(),  known.device.c_str()};
  });
}

int panna_plus_compute(const PannaPlusModel *model, const PannaPlusNeighborhood *atoms, PannaPlusResults *results) {
  return guarded([&] {
    require(model && atoms && results, "panna_plus_compute: model, atoms and results must not be NULL");
    compute(*model, *atoms, *results);
  });
}

int64_t panna_plus_memory_usage(const PannaPlusModel *model) {
  return model ? static_cast<int64_t>(model->potential->memory_usage()) : 0;
}

void panna_plus_close(PannaPlusModel *model) { delete model; }

const char *panna_plus_last_error(void) { return panna_plus::last_error.c_str(); }

}  // extern "C"
