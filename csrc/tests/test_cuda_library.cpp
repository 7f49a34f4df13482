// Devices through the C interface, with the emulated CUDA library lying beside this program as it would beside the
// engine: choice of the device, results, kept lists, and what is said where the library is missing or a wrong one.
// Arguments: a model file; the name of a file that is no library.

#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "c_api/cuda_library.h"
#include "c_api/panna_plus.h"
#include "clusters.h"

using namespace panna_plus;
using test::check;
using test::check_refused;
using test::Cluster;
using test::random_cluster;
using test::rms;

namespace {

PannaPlusOptions options_of(PannaPlusPrecision precision, const char *kernels, const char *device) {
  PannaPlusOptions options{};
  options.precision = precision;
  options.kernels = kernels;
  options.device = device;
  return options;
}

struct Model {
  PannaPlusModel *pointer = nullptr;

  Model(const std::string &path, const char *device) {
    const PannaPlusOptions options = options_of(PANNA_PLUS_DOUBLE, nullptr, device);
    const char *const paths[] = {path.c_str()};
    const int status = panna_plus_open(paths, 1, &options, &pointer);
    check(status == 0, std::string("opening on ") + device + ": " + panna_plus_last_error());
  }
  ~Model() { panna_plus_close(pointer); }
};

struct Answer {
  PannaPlusResults results{};
  std::vector<double> forces;
};

Answer computed(const Model &model, const Cluster &cluster) {
  const Neighborhood view = cluster.view(1);
  PannaPlusNeighborhood atoms{};
  atoms.n_atoms = view.n_atoms;
  atoms.positions = view.positions;
  atoms.species = view.species;
  atoms.n_centers = view.n_centers;
  atoms.centers = view.centers;
  atoms.n_neighbors = view.n_neighbors;
  atoms.neighbors = view.neighbors;
  atoms.neighbor_mask = view.neighbor_mask;
  atoms.generation = view.generation;
  Answer answer;
  answer.forces.assign(std::size_t(3 * view.n_atoms), 0.0);
  answer.results.forces = answer.forces.data();
  check(panna_plus_compute(model.pointer, &atoms, &answer.results) == 0, panna_plus_last_error());
  return answer;
}

void test_results(const std::string &path) {
  const Model cpu(path, "cpu"), cuda(path, "cuda");
  std::mt19937 random(3);
  Cluster cluster = random_cluster(12, 1, 4.0, random);
  cluster.generation = 1;
  for (const double shift : {0.0, 0.1}) {
    for (std::size_t k = 0; k < 9; ++k) cluster.positions[k] += shift * double(k % 4);
    const Answer expected = computed(cpu, cluster), found = computed(cuda, cluster);
    check(rms(expected.forces) > 0.1, "the test's forces are too small to tell anything");
    check(test::largest_difference(expected.forces, found.forces) < 1e-10, "forces on the device differ");
    check(std::fabs(expected.results.energy - found.results.energy) < 1e-10, "the energy on the device differs");
    // What is kept on the device is not read again.
    cluster.n_neighbors.assign(cluster.n_neighbors.size(), shift == 0.0 ? 11 : 0);
  }
}

void test_description(const std::string &path) {
  for (const char *device : {"cpu", "cuda", "cuda:0"}) {
    const Model model(path, device);
    PannaPlusDescription about{};
    check(panna_plus_describe(model.pointer, &about) == 0, panna_plus_last_error());
    const std::string expected = std::strcmp(device, "cpu") == 0 ? "cpu" : "cuda:0";
    check(expected == about.device, std::string(device) + " is described as " + about.device);
    check(panna_plus_memory_usage(model.pointer) > 0, "a model without memory");
  }
  check(panna_plus_cuda_devices() == 1, "the emulation has one device");
  const char *name = panna_plus_cuda_device_name(0);
  check(name && std::string(name) == "emulated device (GPU-00000000-0000-0000-0000-000000000000)", "name of a device");
  check(!panna_plus_cuda_device_name(1), "a device that does not exist has a name");
  const PannaParameters parameters = read_panna_parameters(ModelFile::read(path));
  const auto descriptor = build_descriptor_on_cuda(parameters, Precision::mixed, 0, cuda_library_path());
  check(descriptor->n_features() == parameters.n_features(), "the descriptor on the device has other features");
}

void check_unopened(const std::string &path, const char *kernels, const char *device, const std::string &part) {
  PannaPlusModel *model = nullptr;
  const PannaPlusOptions options = options_of(PANNA_PLUS_MIXED, kernels, device);
  const char *const paths[] = {path.c_str()};
  check(panna_plus_open(paths, 1, &options, &model) == 1 && !model, std::string("opened on ") + device);
  const std::string reason = panna_plus_last_error();
  check(reason.find(part) != std::string::npos, "expected '" + part + "' in: " + reason);
}

void test_refusals(const std::string &path, const std::string &no_library) {
  for (const char *device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA"}) {
    check_unopened(path, nullptr, device, "device must be");
  }
  check_unopened(path, nullptr, "cuda:7", "expected 0 to 0");
  check_unopened(path, "portable", "cuda", "expected gather or atomics");
  const ModelFile file = ModelFile::read(path);
  check_refused("no library", "built without CUDA",
                [&] { build_on_cuda(file, {}, 0, "/nowhere/libpanna_plus_cuda.so"); });
  check_refused("no library at all", "built without CUDA", [] { cuda_device_count("/nowhere/libpanna_plus_cuda.so"); });
  check_refused("a text", "cannot be loaded", [&] { cuda_device_count(no_library); });
  Dl_info libc{};
  check(dladdr(reinterpret_cast<void *>(&dladdr), &libc) != 0, "no path of a library without our functions");
  check_refused("another library", "another version", [&] { cuda_device_count(libc.dli_fname); });
}

}  // namespace

int main(int n, char **arguments) {
  if (n != 3) return 2;
  test_results(arguments[1]);
  test_description(arguments[1]);
  test_refusals(arguments[1], arguments[2]);
  return test::finish("test_cuda_library");
}
