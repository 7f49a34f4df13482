// Systems with features that a test makes up, and energy terms with random parameters for them.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "clusters.h"
#include "cpu/energy_terms.h"

namespace panna_plus::test {

using Numbers = std::vector<double>;

constexpr int n_features = 10;
constexpr double long_cutoff = 12.0;

inline Numbers random_numbers(std::size_t n, double scale, std::mt19937 &random) {
  std::normal_distribution<double> normal(0.0, scale);
  Numbers values(n);
  for (double &value : values) value = normal(random);
  return values;
}

inline AtomHead random_head(int n_hidden, double offset, double size, std::mt19937 &random) {
  AtomHead head;
  head.n_hidden = n_hidden;
  head.inner = random_numbers(std::size_t(n_hidden * n_features), 0.4, random);
  head.bias = random_numbers(std::size_t(n_hidden), 0.3, random);
  head.outer = random_numbers(std::size_t(3 * n_hidden), size, random);
  head.offset = {offset, 0.8 * offset, 1.1 * offset};
  return head;
}

/// Hydrogen, carbon and oxygen.
inline EnergyTermsParameters parameters_of(bool repulsion, bool electrostatics, bool dispersion) {
  std::mt19937 random(3);
  EnergyTermsParameters terms;
  terms.n_elements = 3;
  terms.n_features = n_features;
  if (repulsion) {
    terms.repulsion =
        RepulsionParameters{{1.0, 6.0, 8.0}, {1.09, 0.95, 0.46, 0.24}, {0.19, 0.54, 0.25, 0.02}, 0.26, 2.25, 1.5};
  }
  // Some ratios come out negative: their absolute values count.
  if (electrostatics) terms.electrostatics = {random_head(7, -0.3, 0.3, random), 4.0, 0.45 * long_cutoff};
  if (dispersion) {
    terms.dispersion = {random_head(5, -2.5, 0.4, random), {4.5, 12.0, 5.4}, {6.5, 46.6, 15.6}, 1.2, 10.0};
  }
  if (electrostatics || dispersion) terms.long_range_cutoff = long_cutoff;
  return terms;
}

inline const math::Envelope quintic{math::EnvelopeKind::quintic, 4.5};

/// Atoms with features; rows of images follow those of atoms and have no lists.
struct System {
  Cluster cluster;
  Numbers features;
  std::vector<std::int32_t> rows, owners;
  double total_charge = 1.0;

  void give_features_to(std::int64_t n_rows) {
    rows.clear();
    for (std::int64_t row = 0; row < n_rows; ++row) {
      if (cluster.species[std::size_t(row)] >= 0) rows.push_back(static_cast<std::int32_t>(row));
    }
  }
};

inline System free_system(int n, double size, unsigned seed) {
  std::mt19937 random(seed);
  System system;
  system.cluster = random_cluster(n, 3, size, random);
  system.features = random_numbers(std::size_t(n * n_features), 1.0, random);
  system.give_features_to(n);
  return system;
}

/// `n` atoms in a cubic cell with images up to the long-range cutoff.
inline System periodic_system(int n, double cell, unsigned seed) {
  System system = free_system(n, 0.8 * cell, seed);
  Cluster &c = system.cluster;
  for (std::int32_t row = 0; row < n; ++row) system.owners.push_back(row);
  const int reach = static_cast<int>(std::ceil(long_cutoff / cell)) + 1;
  for (int k = 0; k < (2 * reach + 1) * (2 * reach + 1) * (2 * reach + 1); ++k) {
    const int shift[3] = {k % (2 * reach + 1) - reach, k / (2 * reach + 1) % (2 * reach + 1) - reach,
                          k / (2 * reach + 1) / (2 * reach + 1) - reach};
    if (!shift[0] && !shift[1] && !shift[2]) continue;
    for (std::int32_t row = 0; row < n; ++row) {
      for (int a = 0; a < 3; ++a) c.positions.push_back(c.positions[std::size_t(3 * row + a)] + cell * shift[a]);
      c.species.push_back(c.species[std::size_t(row)]);
      system.owners.push_back(row);
      for (int f = 0; f < n_features; ++f) {
        system.features.push_back(system.features[std::size_t(row * n_features + f)]);
      }
    }
  }
  const int n_rows = static_cast<int>(c.species.size());
  c.list.clear();
  c.neighbors.clear();
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n_rows; ++j) {
      if (j != i) c.list.push_back(j);
    }
  }
  c.n_neighbors.assign(std::size_t(n_rows), 0);
  std::fill_n(c.n_neighbors.begin(), n, n_rows - 1);
  c.neighbors.assign(std::size_t(n_rows), nullptr);
  for (int i = 0; i < n; ++i) c.neighbors[std::size_t(i)] = c.list.data() + std::ptrdiff_t(i) * (n_rows - 1);
  return system;
}

struct Evaluation {
  Outcome outcome;
  Numbers gradients;  // by features
  Numbers details[5];
};

inline const char *const detail_names[5] = {"repulsion_energies", "electrostatic_energies", "dispersion_energies",
                                            "charges", "hirshfeld_ratios"};

template <class T>
Evaluation evaluate(const EnergyTerms<T> &terms, const System &system, int n_threads = 1,
                    const Exchange *exchange = nullptr, FirstFailure failure = {}) {
  const std::size_t n = std::size_t(system.cluster.n_atoms());
  Evaluation out{{{}, Numbers(n), Numbers(3 * n), Numbers(6 * n), Numbers(9 * n)}, {}, {}};
  Results &results = out.outcome.results;
  results.atomic_energies = out.outcome.energies.data();
  results.forces = out.outcome.forces.data();
  results.atomic_virials = out.outcome.atomic.data();
  results.centroid_virials = out.outcome.centroid.data();
  std::vector<Detail> details;
  for (int k = 0; k < 5; ++k) {
    out.details[k].assign(n, 0.0);
    details.push_back({detail_names[k], out.details[k].data()});
  }
  results.details = details.data();
  results.n_details = 5;
  // A stride of its own: rows are not packed.
  constexpr std::ptrdiff_t stride = n_features + 3;
  std::vector<T> features(n * stride, T(0)), gradients(n * stride, T(0));
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t f = 0; f < n_features; ++f) {
      features[row * stride + f] = T(system.features[row * n_features + f]);
    }
  }
  Neighborhood view = system.cluster.view(n_threads);
  view.exchange = exchange;
  view.total_charge = system.total_charge;
  const AtomFeatures<T> view_of_features{static_cast<std::int64_t>(system.rows.size()), system.rows.data(),
                                         features.data(), gradients.data(), stride};
  terms.add(view, view_of_features, failure, results);
  results.details = nullptr;
  failure.rethrow();
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t f = 0; f < n_features; ++f) out.gradients.push_back(double(gradients[row * stride + f]));
  }
  return out;
}

}  // namespace panna_plus::test
