// The CUDA sources, run by the emulation of csrc/cuda/emulation or (PANNA_REAL_DEVICE) by a GPU, against the reference
// on the CPU: random clusters of every size from no atom on, both precisions, forces gathered and by atomics, lists
// kept and replaced.
// Arguments: "sizes" or, for more tests of the first model, "corners"; the largest cluster; model files.

#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "clusters.h"
#include "cpu/panna_reference.h"
#include "cuda/panna_cuda.h"

using namespace panna_plus;
using test::check;
using test::check_refused;
using test::Cluster;
using test::compare;
using test::evaluate;
using test::Outcome;
using test::random_cluster;
using test::rms;

namespace {

// Relative to the largest number of an evaluation. A GPU contracts to FMA and has exponentials and roots of its own.
#if defined(PANNA_REAL_DEVICE)
constexpr double double_rounding = 1e-10, mixed_rounding = 1e-5;
#else
constexpr double double_rounding = 1e-12, mixed_rounding = 1e-6;
#endif

/// The same model on the CPU and, in all its ways, on the emulated device.
struct Models {
  explicit Models(const ModelFile &file)
      : path(file.path()),
        n_elements(static_cast<int>(file.elements().size())),
        reference(build_panna_reference(file, Precision::double_)),
        mixed_reference(build_panna_reference(file, Precision::mixed)),
        gather(build_panna_cuda(file, Precision::double_, "gather", 0)),
        atomics(build_panna_cuda(file, Precision::double_, "atomics", 0)),
        mixed(build_panna_cuda(file, Precision::mixed, "", 0)) {}

  std::string path;
  int n_elements;
  std::unique_ptr<Potential> reference, mixed_reference, gather, atomics, mixed;
};

Cluster cluster_of(int n, int n_elements, std::mt19937 &random) {
  return random_cluster(n, n_elements, n <= 3 ? 2.5 : 1.6 * std::cbrt(double(n)) + 0.6, random);
}

void test_all_ways(const Models &models, const Cluster &cluster, const std::string &part) {
  const std::string what = models.path + ", " + part;
  const Outcome expected = evaluate(*models.reference, cluster, 1, true);
  const double precise = double_rounding * scale_of(expected);
  compare(what + ", double", evaluate(*models.gather, cluster, 1, true), expected, precise);
  compare(what + ", double, no virials", evaluate(*models.gather, cluster, 1, false), expected, precise);
  compare(what + ", double, atomics", evaluate(*models.atomics, cluster, 1, true), expected, precise);
  compare(what + ", double, atomics, no virials", evaluate(*models.atomics, cluster, 1, false), expected, precise);
  // Float rounding goes with the exponents of the windows: as good as the plain loops of the CPU in float.
  const double rounding = largest_difference(evaluate(*models.mixed_reference, cluster, 1, true), expected);
  check(rounding < 1e-4 * scale_of(expected), what + ": the reference in float is no yardstick");
  compare(what + ", mixed", evaluate(*models.mixed, cluster, 1, true), expected,
          mixed_rounding * scale_of(expected) + 2.0 * rounding);
}

/// What a committee with statistics of its training atoms tells beside its mean.
void test_members(const Models &models, const Cluster &cluster, const std::string &part) {
  const std::string what = models.path + ", members, " + part;
  const Outcome expected = evaluate(*models.reference, cluster, 1, true, true);
  const double precise = double_rounding * scale_of(expected);
  compare(what + ", double", evaluate(*models.gather, cluster, 1, true, true), expected, precise);
  compare(what + ", double, atomics", evaluate(*models.atomics, cluster, 1, false, true), expected, precise);
  const double rounding = largest_difference(evaluate(*models.mixed_reference, cluster, 1, true), expected);
  compare(what + ", mixed", evaluate(*models.mixed, cluster, 1, true, true), expected,
          mixed_rounding * scale_of(expected) + 2.0 * rounding);
}

void test_sizes(const Models &models, int largest) {
  std::mt19937 random(7);
  for (const int n : {0, 1, 2, 3, 4, 9, 24, 70}) {
    if (n > largest) break;
    const Cluster cluster = cluster_of(n, models.n_elements, random);
    check(n < 24 || rms(evaluate(*models.reference, cluster, 1, false).forces) > 0.1, "forces too small to tell");
    test_all_ways(models, cluster, std::to_string(n) + " atoms");
    if (models.gather->description().n_members > 1) test_members(models, cluster, std::to_string(n) + " atoms");
  }
}

int innermost(const Cluster &cluster) {
  auto squared = [&](int k) {
    const double *x = cluster.positions.data() + 3 * k;
    return x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
  };
  int found = 0;
  for (int k = 0; k < cluster.n_atoms(); ++k) found = squared(k) < squared(found) ? k : found;
  return found;
}

/// A few centres among neighbours that are none, in a list with marked entries.
void test_few_centers(const Models &models, int n) {
  std::mt19937 random(11);
  // Dense enough for hundreds of neighbours inside the cutoff.
  Cluster cluster = random_cluster(n, models.n_elements, 1.25 * std::cbrt(double(n)) + 0.6, random);
  cluster.centers = {n - 1, 2, innermost(cluster)};
  cluster.neighbor_mask = 0x1fffffff;
  for (std::size_t k = 0; k < cluster.list.size(); k += 3) cluster.list[k] |= 1 << 30;
  test_all_ways(models, cluster, "3 centres, " + std::to_string(n) + " atoms");
}

/// While the generation stays, the host's list is not read; another one replaces it, larger or smaller.
void test_kept_lists(const Models &models) {
  std::mt19937 random(13);
  for (const int n : {5, 12, 8, 0, 16}) {
    Cluster cluster = cluster_of(n, models.n_elements, random);
    cluster.generation = 100 + n;
    test_all_ways(models, cluster, "new list, " + std::to_string(n) + " atoms");
    for (double &x : cluster.positions) x += 0.05 * std::sin(1e3 * x);
    const Outcome expected = evaluate(*models.reference, cluster, 1, true);
    const std::vector<std::int32_t> nobody(cluster.n_neighbors.size(), 0);
    cluster.n_neighbors = nobody;
    const std::string what = models.path + ", kept list, " + std::to_string(n) + " atoms";
    const double precise = double_rounding * scale_of(expected);
    compare(what, evaluate(*models.gather, cluster, 1, true), expected, precise);
    compare(what + ", atomics", evaluate(*models.atomics, cluster, 1, true), expected, precise);
  }
}

/// So many rows that copies on the host are dealt out to threads. Gathering would visit every one of them.
void test_many_rows(const Models &models) {
  std::mt19937 random(19);
  Cluster cluster = cluster_of(9, models.n_elements, random);
  for (int k = 0; k < 70000; ++k) {
    cluster.positions.insert(cluster.positions.end(), 3, 0.0);
    cluster.species.push_back(-1);
    cluster.n_neighbors.push_back(0);
    cluster.neighbors.push_back(nullptr);
  }
  const Outcome expected = evaluate(*models.reference, cluster, 1, true);
  const Outcome found = evaluate(*models.atomics, cluster, 3, true);
  compare(models.path + ", many rows", found, expected, double_rounding * scale_of(expected));
}

void test_threads(const Models &models) {
  std::mt19937 random(17);
  std::vector<Cluster> clusters;
  std::vector<Outcome> expected, found(3);
  for (int k = 0; k < 3; ++k) {
    clusters.push_back(cluster_of(6 + k, models.n_elements, random));
    expected.push_back(evaluate(*models.reference, clusters.back(), 1, true));
  }
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < 3; ++k) {
    threads.emplace_back([&, k] {
      for (int repeat = 0; repeat < 3; ++repeat) found[k] = evaluate(*models.gather, clusters[k], 1, true);
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (std::size_t k = 0; k < 3; ++k) {
    compare(models.path + ", three threads", found[k], expected[k], double_rounding * scale_of(expected[k]));
  }
}

void test_choices(const ModelFile &file) {
  check_refused("unknown kernels", "gather or atomics", [&] { build_panna_cuda(file, Precision::mixed, "sse", 0); });
#if !defined(PANNA_REAL_DEVICE)  // which may not be the only one, and is found before the environment changes
  check_refused("device 1", "expected 0 to 0", [&] { build_panna_cuda(file, Precision::mixed, "", 1); });
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  check_refused("no device", "no CUDA device can be used", [&] { build_panna_cuda(file, Precision::mixed, "", 0); });
  unsetenv("CUDA_VISIBLE_DEVICES");
#endif
}

}  // namespace

int main(int n, char **arguments) {
  if (n < 4) return 2;
  const bool with_corners = std::string(arguments[1]) == "corners";
  const int largest = std::atoi(arguments[2]);
  for (int k = 3; k < n; ++k) {
    const ModelFile file = ModelFile::read(arguments[k]);
    const Models models(file);
    test_sizes(models, largest);
    if (k > 3 || !with_corners) continue;
    test_kept_lists(models);
    test_threads(models);
    test_many_rows(models);
    // So many neighbours that the gradients of one centre do not fit into the part of the shared memory for them.
    test_few_centers(models, 240);
    test::check_refusals("cuda", *models.mixed, {1});
    test::check_refusals("cuda atomics", *models.atomics, {1});
    test_choices(file);
  }
  return test::finish("test_cuda");
}
