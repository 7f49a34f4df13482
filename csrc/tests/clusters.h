// Random clusters for the tests of kernels, their evaluation and the comparison of two evaluations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "potential/potential.h"

namespace panna_plus::test {

struct Cluster {
  std::vector<double> positions;
  std::vector<std::int32_t> species, centers, n_neighbors, list;
  std::vector<const std::int32_t *> neighbors;
  std::int32_t neighbor_mask = -1;
  std::int64_t generation = 0;

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
    view.neighbor_mask = neighbor_mask;
    view.n_threads = n_threads;
    view.generation = generation;
    return view;
  }
};

/// Atoms at least 0.9 apart; all are neighbours of all, near or far. Every seventh atom is not counted.
inline Cluster random_cluster(int n, int n_elements, double size, std::mt19937 &random) {
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
  std::vector<double> member_energies, member_forces, extrapolation;  // where they were asked for
};

/// `with_members`: what a committee with statistics of its training atoms can tell.
inline Outcome evaluate(const Potential &potential, const Cluster &cluster, int n_threads, bool with_virials,
                        bool with_members = false) {
  const std::size_t n = static_cast<std::size_t>(cluster.n_atoms());
  Outcome out;
  out.energies.resize(n);
  out.forces.resize(3 * n);
  out.atomic.resize(6 * n);
  out.centroid.resize(9 * n);
  const std::size_t n_members = static_cast<std::size_t>(potential.description().n_members);
  if (with_members) {
    out.member_energies.resize(n_members);
    out.member_forces.resize(3 * n * n_members);
    out.extrapolation.resize(n);
    out.results.member_energies = out.member_energies.data();
    out.results.member_forces = out.member_forces.data();
  }
  const Detail detail{"extrapolation", out.extrapolation.data()};
  out.results.details = &detail;
  out.results.n_details = with_members ? 1 : 0;
  out.results.atomic_energies = out.energies.data();
  out.results.forces = out.forces.data();
  if (with_virials) {
    out.results.atomic_virials = out.atomic.data();
    out.results.centroid_virials = out.centroid.data();
  }
  potential.compute(cluster.view(n_threads), out.results);
  out.results.details = nullptr;
  return out;
}

inline double largest_difference(const std::vector<double> &a, const std::vector<double> &b) {
  double largest = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double difference = std::fabs(a[k] - b[k]);
    largest = std::max(largest, std::isnan(difference) ? 1e300 : difference);
  }
  return largest;
}

inline double rms(const std::vector<double> &values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return values.empty() ? 0.0 : std::sqrt(sum / double(values.size()));
}

/// The largest difference of two evaluations.
inline double largest_difference(const Outcome &a, const Outcome &b) {
  const double virial =
      largest_difference({a.results.virial, a.results.virial + 6}, {b.results.virial, b.results.virial + 6});
  return std::max({virial, std::fabs(a.results.energy - b.results.energy), largest_difference(a.energies, b.energies),
                   largest_difference(a.forces, b.forces), largest_difference(a.atomic, b.atomic),
                   largest_difference(a.centroid, b.centroid)});
}

/// The tolerance is absolute (eV, eV/angstrom).
inline void compare(const std::string &what, const Outcome &found, const Outcome &expected, double tolerance) {
  auto near = [&](const std::string &part, const std::vector<double> &a, const std::vector<double> &b) {
    const double difference = largest_difference(a, b);
    check(difference <= tolerance,
          what + ", " + part + ": differs by " + std::to_string(difference / tolerance) + " of the tolerance");
  };
  near("atomic energies", found.energies, expected.energies);
  near("forces", found.forces, expected.forces);
  near("energy", {found.results.energy}, {expected.results.energy});
  near("virial", {found.results.virial, found.results.virial + 6},
       {expected.results.virial, expected.results.virial + 6});
  if (found.results.atomic_virials && expected.results.atomic_virials) {
    near("atomic virials", found.atomic, expected.atomic);
  }
  if (found.results.centroid_virials && expected.results.centroid_virials) {
    near("centroid virials", found.centroid, expected.centroid);
  }
  if (found.results.member_energies && expected.results.member_energies) {
    near("members' energies", found.member_energies, expected.member_energies);
    near("members' forces", found.member_forces, expected.member_forces);
    near("extrapolation", found.extrapolation, expected.extrapolation);
  }
  check(found.results.closest.ratio == expected.results.closest.ratio, what + ": closest pair");
}

/// The largest number that `compare` looks at, at least 1: what relative errors are measured against.
inline double scale_of(const Outcome &outcome) {
  double largest = std::max(1.0, std::fabs(outcome.results.energy));
  for (const double value : outcome.results.virial) largest = std::max(largest, std::fabs(value));
  for (const auto *values : {&outcome.energies, &outcome.forces, &outcome.atomic, &outcome.centroid}) {
    for (const double value : *values) largest = std::max(largest, std::fabs(value));
  }
  return largest;
}

/// Spoils a cluster in every way that must be refused.
inline void check_refusals(const std::string &name, const Potential &potential, const std::vector<int> &thread_counts) {
  std::mt19937 random(8);
  const Cluster good = random_cluster(12, 1, 4.0, random);
  auto refuse = [&](const std::string &part, const std::function<void(Cluster &)> &spoil) {
    Cluster bad = good;
    for (std::size_t i = 0; i < bad.neighbors.size(); ++i) {
      bad.neighbors[i] = bad.list.data() + (good.neighbors[i] - good.list.data());
    }
    spoil(bad);
    for (const int n_threads : thread_counts) {
      check_refused(name + ", " + part, part, [&] { evaluate(potential, bad, n_threads, false); });
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

}  // namespace panna_plus::test
