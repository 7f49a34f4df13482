// Every compiled instruction set against the reference implementation, on random clusters of every
// size from a lone atom on, in both precisions, with one thread and with three.
// Arguments: model files of the family panna.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/instruction_sets.h"
#include "cpu/panna_cpu.h"
#include "cpu/panna_reference.h"

using namespace panna_plus;
using test::check;
using test::check_refused;

namespace {

struct Cluster {
  std::vector<double> positions;
  std::vector<std::int32_t> species, centers, n_neighbors, list;
  std::vector<const std::int32_t *> neighbors;

  std::int64_t n_atoms() const { return static_cast<std::int64_t>(species.size()); }

  Neighborhood view(int n_threads) const {
    Neighborhood view;
    view.n_atoms = n_atoms();
    view.positions = positions.data();
    view.species = species.data();
    view.n_centers = static_cast<std::int64_t>(centers.size());
    view.centers = centers.data();
    view.n_neighbors = n_neighbors.data();
    view.neighbors = neighbors.data();
    view.n_threads = n_threads;
    return view;
  }
};

/// Atoms at least 0.9 apart; all are neighbours of all, near or far. Every seventh atom is not counted.
Cluster random_cluster(int n, int n_elements, double size, std::mt19937 &random) {
  std::uniform_real_distribution<double> uniform(-0.5 * size, 0.5 * size);
  Cluster cluster;
  while (cluster.n_atoms() < n) {
    const double point[3] = {uniform(random), uniform(random), uniform(random)};
    bool is_free = true;
    for (std::size_t k = 0; k < cluster.positions.size(); k += 3) {
      const double dx = cluster.positions[k] - point[0], dy = cluster.positions[k + 1] - point[1],
                   dz = cluster.positions[k + 2] - point[2];
      is_free &= dx * dx + dy * dy + dz * dz > 0.81;
    }
    if (!is_free) continue;
    cluster.positions.insert(cluster.positions.end(), point, point + 3);
    const bool counted = cluster.species.size() % 7 != 6;
    cluster.species.push_back(counted ? static_cast<std::int32_t>(random() % static_cast<unsigned>(n_elements)) : -1);
  }
  for (int i = 0; i < n; ++i) {
    cluster.centers.push_back(i);
    for (int j = 0; j < n; ++j) {
      if (j != i) cluster.list.push_back(j);
    }
  }
  cluster.n_neighbors.assign(static_cast<std::size_t>(n), n - 1);
  for (int i = 0; i < n; ++i) cluster.neighbors.push_back(cluster.list.data() + i * (n - 1));
  return cluster;
}

struct Outcome {
  Results results;
  std::vector<double> energies, forces, atomic, centroid;
};

Outcome evaluate(const Potential &potential, const Cluster &cluster, int n_threads, bool with_virials) {
  const std::size_t n = static_cast<std::size_t>(cluster.n_atoms());
  Outcome out{
      {}, std::vector<double>(n), std::vector<double>(3 * n), std::vector<double>(6 * n), std::vector<double>(9 * n)};
  out.results.atomic_energies = out.energies.data();
  out.results.forces = out.forces.data();
  if (with_virials) {
    out.results.atomic_virials = out.atomic.data();
    out.results.centroid_virials = out.centroid.data();
  }
  potential.compute(cluster.view(n_threads), out.results);
  return out;
}

double largest_difference(const std::vector<double> &a, const std::vector<double> &b) {
  double largest = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double difference = std::fabs(a[k] - b[k]);
    largest = std::max(largest, std::isnan(difference) ? 1e300 : difference);
  }
  return largest;
}

double rms(const std::vector<double> &values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return values.empty() ? 0.0 : std::sqrt(sum / double(values.size()));
}

void compare(const std::string &what, const Outcome &found, const Outcome &expected, double tolerance) {
  auto near = [&](const std::string &part, double difference) {
    check(difference <= tolerance,
          what + ", " + part + ": differs by " + std::to_string(difference / tolerance) + " of the tolerance");
  };
  near("atomic energies", largest_difference(found.energies, expected.energies));
  near("forces", largest_difference(found.forces, expected.forces));
  near("energy", std::fabs(found.results.energy - expected.results.energy));
  for (int a = 0; a < 6; ++a) near("virial", std::fabs(found.results.virial[a] - expected.results.virial[a]));
  if (found.results.atomic_virials && expected.results.atomic_virials) {
    near("atomic virials", largest_difference(found.atomic, expected.atomic));
    near("centroid virials", largest_difference(found.centroid, expected.centroid));
  }
  check(found.results.closest.ratio == expected.results.closest.ratio, what + ": closest pair");
}

void test_model(const ModelFile &file) {
  std::mt19937 random(7);
  const int n_elements = static_cast<int>(file.elements().size());
  const std::unique_ptr<Potential> reference = build_panna_reference(file, Precision::double_);
  for (const int n : {1, 2, 3, 4, 9, 24, 70}) {
    const double size = n <= 3 ? 2.5 : 1.6 * std::cbrt(double(n)) + 0.6;
    const Cluster cluster = random_cluster(n, n_elements, size, random);
    const Outcome expected = evaluate(*reference, cluster, 1, true);
    check(n < 24 || rms(expected.forces) > 0.1, "the test's forces are too small to tell anything");
    for (const InstructionSet &set : instruction_sets()) {
      if (!set.is_supported()) continue;
      const std::string what = file.path() + ", " + set.name + ", " + std::to_string(n) + " atoms";
      const auto precise = build_panna_cpu(file, Precision::double_, set.name);
      const auto mixed = build_panna_cpu(file, Precision::mixed, set.name);
      compare(what + ", double", evaluate(*precise, cluster, 1, true), expected, 1e-10);
      compare(what + ", double, three threads", evaluate(*precise, cluster, 3, true), expected, 1e-10);
      compare(what + ", double, no virials", evaluate(*precise, cluster, 1, false), expected, 1e-10);
      compare(what + ", mixed", evaluate(*mixed, cluster, 1, false), expected, 1e-4);
      compare(what + ", mixed, three threads", evaluate(*mixed, cluster, 3, true), expected, 1e-4);
    }
  }
}

void test_refusals(const ModelFile &file) {
  std::mt19937 random(8);
  const Cluster good = random_cluster(12, 1, 4.0, random);
  for (const std::string kernels : {"reference", "portable"}) {
    const auto potential = kernels == "reference" ? build_panna_reference(file, Precision::double_)
                                                  : build_panna_cpu(file, Precision::mixed, kernels);
    auto refuse = [&](const std::string &part, const std::function<void(Cluster &)> &spoil) {
      Cluster bad = good;
      for (std::size_t i = 0; i < bad.neighbors.size(); ++i) {
        bad.neighbors[i] = bad.list.data() + (good.neighbors[i] - good.list.data());
      }
      spoil(bad);
      for (const int n_threads : {1, 3}) {
        check_refused(kernels + ", " + part, part, [&] { evaluate(*potential, bad, n_threads, false); });
      }
    };
    refuse("coincide", [](Cluster &c) { std::copy_n(c.positions.data(), 3, c.positions.data() + 9); });
    refuse("finite", [](Cluster &c) { c.positions[4] = std::nan(""); });
    refuse("no finite distance", [](Cluster &c) {
      c.positions[4] = 1e200;
      c.centers = {0, 2};
    });
    refuse("lists neighbour 12", [](Cluster &c) { c.list[5] = 12; });
    refuse("lists neighbour -3", [](Cluster &c) { c.list[5] = -3; });
    refuse("has species 50", [](Cluster &c) { c.species[1] = 50; });
    refuse("has species -2", [](Cluster &c) { c.species[1] = -2; });
    refuse("centre 12 does not exist", [](Cluster &c) { c.centers[3] = 12; });
  }
  check_refused("unknown kernels", "portable", [&] { build_panna_cpu(file, Precision::mixed, "sparc"); });
}

}  // namespace

int main(int n, char **arguments) {
  for (int k = 1; k < n; ++k) {
    const ModelFile file = ModelFile::read(arguments[k]);
    test_model(file);
    if (k == 1) test_refusals(file);
  }
  return test::finish("test_kernels");
}
