// The energy terms beside a network, on features that the test makes up: against plain formulas, against finite
// differences by positions and by features, across every distance at which something begins or ends, with images and
// among several processes. Without arguments.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cpu/instruction_sets.h"
#include "energy_terms_plain.h"
#include "energy_terms_systems.h"
#include "processes.h"

using namespace panna_plus;
using namespace panna_plus::test;

namespace {

void near(const std::string &what, const Numbers &found, const Numbers &expected, double tolerance) {
  const double difference = largest_difference(found, expected);
  check(difference <= tolerance,
        what + ": differs by " + std::to_string(difference / tolerance) + " of the tolerance");
}

template <class T>
void compare_with_plain(const std::string &what, const EnergyTerms<T> &terms, const EnergyTermsParameters &parameters,
                        const System &system, double tolerance, const Exchange *exchange = nullptr) {
  const std::vector<Numbers> expected = plain_details(parameters, system);
  const Evaluation found = evaluate(terms, system, 1, exchange);
  Numbers energies(expected[0].size(), 0.0);
  for (std::size_t k = 0; k < 5; ++k) {
    const double size = rms(expected[k]);
    near(what + ", " + detail_names[k], found.details[k], expected[k], tolerance * std::max(1.0, size));
    for (std::size_t row = 0; k < 3 && row < energies.size(); ++row) energies[row] += expected[k][row];
  }
  near(what + ", atomic energies", found.outcome.energies, energies, tolerance * std::max(1.0, rms(energies)));
  double sum = 0.0;
  for (const double energy : found.outcome.energies) sum += energy;
  check(std::fabs(sum - found.outcome.results.energy) < 1e-9, what + ": total energy");
  if (terms.has_charges()) {
    double charge = 0.0;
    for (const double q : found.details[3]) charge += q;
    check(std::fabs(charge - system.total_charge) < 1e-12, what + ": charges do not add up to the total charge");
  }
}

/// dE/dx by central differences, x any number of a copy of the system.
double difference(const EnergyTerms<double> &terms, const System &system, double step,
                  const std::function<void(System &, double)> &move, const Exchange *exchange = nullptr) {
  double energy[2];
  for (const int side : {0, 1}) {
    System moved = system;
    move(moved, side ? step : -step);
    // Lists of a copy lie elsewhere.
    for (std::size_t i = 0; i < moved.cluster.neighbors.size(); ++i) {
      const std::int32_t *list = system.cluster.neighbors[i];
      if (list) moved.cluster.neighbors[i] = moved.cluster.list.data() + (list - system.cluster.list.data());
    }
    energy[side] = evaluate(terms, moved, 1, exchange).outcome.results.energy;
  }
  return (energy[1] - energy[0]) / (2.0 * step);
}

void check_differences(const std::string &what, const EnergyTerms<double> &terms, const System &system,
                       const Exchange *exchange = nullptr) {
  const Evaluation found = evaluate(terms, system, 1, exchange);
  // Rows of an atom and its images move together.
  auto rows_of = [&](std::size_t atom) {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < std::size_t(system.cluster.n_atoms()); ++row) {
      if (row == atom || (!system.owners.empty() && std::size_t(system.owners[row]) == atom)) rows.push_back(row);
    }
    return rows;
  };
  const Numbers of_centers(found.outcome.forces.begin(),
                           found.outcome.forces.begin() + std::ptrdiff_t(3 * system.cluster.centers.size()));
  // Dispersion alone is weak.
  const double least = terms.has_charges() || !terms.is_long_ranged() ? 0.1 : 0.01;
  check(rms(of_centers) > least, what + ": rms force " + std::to_string(rms(of_centers)) + " is too small");
  for (std::size_t atom = 0; atom < system.cluster.centers.size(); atom += 3) {
    const std::vector<std::size_t> rows = rows_of(atom);
    for (std::size_t a = 0; a < 3; ++a) {
      double force = 0.0;
      for (const std::size_t row : rows) force += found.outcome.forces[3 * row + a];
      const double expected = -difference(
          terms, system, 1e-4,
          [&](System &s, double step) {
            for (const std::size_t row : rows) s.cluster.positions[3 * row + a] += step;
          },
          exchange);
      check(std::fabs(force - expected) < 1e-6 * (1.0 + std::fabs(expected)),
            what + ": force " + std::to_string(force) + ", by differences " + std::to_string(expected));
    }
    if (!terms.is_long_ranged()) continue;
    for (std::size_t f = 0; f < n_features; f += 3) {
      const double expected = difference(
          terms, system, 1e-4,
          [&](System &s, double step) {
            for (const std::size_t row : rows) s.features[row * n_features + f] += step;
          },
          exchange);
      const double gradient = found.gradients[atom * n_features + f];
      check(std::fabs(gradient - expected) < 1e-6 * (1.0 + std::fabs(expected)),
            what + ": gradient " + std::to_string(gradient) + ", by differences " + std::to_string(expected));
    }
  }
}

/// The virial against differences by a strain, and the parts of it against the whole.
void check_virials(const std::string &what, const EnergyTerms<double> &terms, const System &system,
                   const Exchange *exchange = nullptr) {
  const Evaluation found = evaluate(terms, system, 1, exchange);
  const std::pair<std::size_t, std::size_t> components[6] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
  for (std::size_t k = 0; k < 6; ++k) {
    const auto [a, b] = components[k];
    const double expected = -difference(
        terms, system, 1e-5,
        [&, a = a, b = b](System &s, double step) {
          Numbers &x = s.cluster.positions;
          for (std::size_t row = 0; row < x.size(); row += 3) x[row + a] += step * x[row + b];
        },
        exchange);
    check(std::fabs(found.outcome.results.virial[k] - expected) < 1e-5 * (1.0 + std::fabs(expected)),
          what + ": virial " + std::to_string(found.outcome.results.virial[k]) + ", by differences " +
              std::to_string(expected));
    double atomic = 0.0, centroid = 0.0;
    for (std::size_t row = 0; row < found.outcome.energies.size(); ++row) {
      atomic += found.outcome.atomic[6 * row + k];
      const std::size_t other = k < 3 ? k : k + 3;
      centroid += 0.5 * (found.outcome.centroid[9 * row + k] + found.outcome.centroid[9 * row + other]);
    }
    near(what + ", sums of atomic virials", {atomic, centroid}, Numbers(2, found.outcome.results.virial[k]), 1e-9);
  }
}

void compare(const std::string &what, const Evaluation &found, const Evaluation &expected, double tolerance) {
  compare(what, found.outcome, expected.outcome, tolerance);
  near(what + ", gradients", found.gradients, expected.gradients, tolerance);
  for (int k = 0; k < 5; ++k) near(what + ", " + detail_names[k], found.details[k], expected.details[k], tolerance);
}

void test_free(bool repulsion, bool electrostatics, bool dispersion) {
  const EnergyTermsParameters parameters = parameters_of(repulsion, electrostatics, dispersion);
  const System system = free_system(45, 13.0, 5), dense = free_system(30, 4.5, 6);
  const EnergyTerms<double> reference(parameters, quintic, "portable");
  std::string name = "terms";
  name += repulsion ? " r" : "";
  name += electrostatics ? " e" : "";
  name += dispersion ? " d" : "";
  check(reference.cutoff() == (electrostatics || dispersion ? long_cutoff : 1.5), name + ": cutoff");
  const Evaluation expected = evaluate(reference, dense);
  check_differences(name, reference, dense);
  check_virials(name, reference, dense);
  for (const InstructionSet &set : instruction_sets()) {
    if (!set.is_supported()) continue;
    const std::string what = name + ", " + set.name;
    const EnergyTerms<double> precise(parameters, quintic, set.name);
    const EnergyTerms<float> mixed(parameters, quintic, set.name);
    for (const System *each : {&system, &dense}) {
      compare_with_plain(what + ", double", precise, parameters, *each, 1e-11);
      compare_with_plain(what + ", mixed", mixed, parameters, *each, 2e-6);
    }
    compare(what + ", double", evaluate(precise, dense), expected, 1e-10);
    compare(what + ", three threads", evaluate(precise, dense, 3), expected, 1e-10);
    compare(what + ", mixed", evaluate(mixed, dense, 3), expected, 2e-5 * scale_of(expected.outcome));
  }
}

/// Two atoms across every distance at which something begins or ends: energy and force are smooth there.
void test_crossings() {
  const EnergyTerms<double> terms(parameters_of(true, true, true), quintic, "");
  System pair = free_system(2, 3.0, 9);
  pair.cluster.species = {1, 2};
  // Unequal charges: the total charge must not hide one of them.
  pair.total_charge = 0.7;
  auto at = [&](double r) {
    pair.cluster.positions = {0.0, 0.0, 0.0, 0.0, 0.0, r};
    const Evaluation found = evaluate(terms, pair);
    return std::pair<double, double>(found.outcome.results.energy, found.outcome.forces[5]);
  };
  for (const double edge : {1.5, 0.45 * long_cutoff, 10.0, long_cutoff}) {
    for (const double offset : {-0.02, -1e-4, 0.0, 1e-4, 0.02}) {
      const double r = edge + offset, step = 1e-3;
      const auto low = at(r - step), here = at(r), high = at(r + step);
      const double expected = -(high.first - low.first) / (2.0 * step);
      check(std::fabs(here.second - expected) < 1e-6 + 1e-6 * std::fabs(expected),
            "force at " + std::to_string(r) + ": " + std::to_string(here.second) + ", by differences " +
                std::to_string(expected));
      const double bend = high.second - 2.0 * here.second + low.second;
      check(std::fabs(bend) < 1e-5, "force has a kink at " + std::to_string(r));
    }
  }
  const auto before = at(long_cutoff - 1e-3), behind = at(long_cutoff);
  check(behind.first == 0.0 && behind.second == 0.0, "something is left at the long-range cutoff");
  check(std::fabs(before.first) < 1e-7 && std::fabs(before.second) < 1e-4, "energy or force jumps at the cutoff");
}

/// Images as rows of their own with features of their own, or served by an exchange: the same.
void test_images() {
  const EnergyTermsParameters parameters = parameters_of(true, true, true);
  const EnergyTerms<double> terms(parameters, quintic, "");
  System deep = periodic_system(12, 6.0, 12);
  deep.give_features_to(deep.cluster.n_atoms());
  compare_with_plain("images with features", terms, parameters, deep, 1e-10);
  const Evaluation expected = evaluate(terms, deep);
  System layered = periodic_system(12, 6.0, 12);
  const OwnersExchange exchange(layered.cluster.n_atoms(), layered.owners.data());
  compare("images served", evaluate(terms, layered, 2, &exchange), expected, 1e-10);
  check_differences("images", terms, layered, &exchange);
  check_virials("images", terms, layered, &exchange);
}

/// The same cluster among three processes, of which the last has no atoms, with and without images that are served.
void test_processes(bool has_images, bool one_fails) {
  const EnergyTerms<double> terms(parameters_of(true, true, true), quintic, "");
  const System whole = free_system(30, 6.0, 21);
  const Evaluation expected = evaluate(terms, whole);
  std::vector<std::int32_t> atoms[3];
  for (std::int32_t row = 0; row < 30; ++row) atoms[row % 3 ? 0 : 1].push_back(row);
  Meeting meeting(3);
  Evaluation parts[3];
  std::vector<std::int32_t> global[3];
  int n_calls[3] = {}, n_refused = 0;
  std::vector<std::thread> threads;
  for (int process = 0; process < 3; ++process) {
    threads.emplace_back([&, process] {
      System mine = part_of(whole, atoms[process], global[process]);
      mine.give_features_to(std::int64_t(has_images ? atoms[process].size() : global[process].size()));
      const MeetingExchange exchange(meeting, has_images, global[process], 30, atoms[process].size());
      FirstFailure failure;
      if (one_fails && process == 1) mine.cluster.species[3] = 77;
      try {
        parts[process] = evaluate(terms, mine, 1, &exchange, failure);
      } catch (const Failure &) {
        ++n_refused;
      }
      n_calls[process] = exchange.n_calls;
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (const int calls : n_calls) check(calls == (has_images ? 3 : 2), "number of calls of a process");
  check(n_refused == (one_fails ? 1 : 0), "one process finds a fault");
  if (one_fails) return;
  Numbers forces(90, 0.0), gradients(30 * n_features, 0.0);
  double energy = 0.0;
  for (int process = 0; process < 3; ++process) {
    energy += parts[process].outcome.results.energy;
    for (std::size_t row = 0; row < global[process].size(); ++row) {
      const std::size_t to = std::size_t(global[process][row]);
      for (std::size_t a = 0; a < 3; ++a) forces[3 * to + a] += parts[process].outcome.forces[3 * row + a];
      for (std::size_t f = 0; f < n_features; ++f) {
        gradients[to * n_features + f] += parts[process].gradients[row * n_features + f];
      }
    }
  }
  near("processes, energy", {energy}, {expected.outcome.results.energy}, 1e-10);
  near("processes, forces", forces, expected.outcome.forces, 1e-10);
  near("processes, gradients", gradients, expected.gradients, 1e-10);
}

void test_refusals() {
  const EnergyTerms<float> terms(parameters_of(true, true, true), quintic, "");
  auto refuse = [&](const std::string &part, const std::function<void(System &)> &spoil) {
    System bad = free_system(12, 4.0, 8);
    spoil(bad);
    for (const int n_threads : {1, 3}) check_refused(part, part, [&] { evaluate(terms, bad, n_threads); });
  };
  refuse("coincide", [](System &s) { std::copy_n(s.cluster.positions.data(), 3, s.cluster.positions.data() + 9); });
  refuse("not finite", [](System &s) { s.cluster.positions[4] = std::nan(""); });
  refuse("lists neighbour 12", [](System &s) { s.cluster.list[5] = 12; });
  refuse("lists neighbour -3", [](System &s) { s.cluster.list[5] = -3; });
  refuse("has species 50", [](System &s) { s.cluster.species[1] = 50; });
  refuse("centre 12 does not exist", [](System &s) { s.cluster.centers[3] = 12; });
}

void test_empty() {
  const EnergyTerms<float> terms(parameters_of(true, true, true), quintic, "");
  System nothing = free_system(0, 4.0, 8);
  check(evaluate(terms, nothing).outcome.results.energy == 0.0, "no atoms");
  System lone = free_system(1, 4.0, 8);
  const Evaluation found = evaluate(terms, lone, 2);
  check(found.outcome.results.energy == 0.0 && found.details[3][0] == 1.0, "a lone atom has the total charge");
}

}  // namespace

int main() {
  test_free(true, true, true);
  test_free(true, false, false);
  test_free(false, true, false);
  test_free(false, false, true);
  test_crossings();
  test_images();
  for (const bool has_images : {true, false}) {
    for (const bool one_fails : {false, true}) test_processes(has_images, one_fails);
  }
  test_refusals();
  test_empty();
  return finish("test_energy_terms");
}
