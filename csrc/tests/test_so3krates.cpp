// Models of the family so3krates: forces and virials against differences, instruction sets and threads against each
// other, images that are served against rows of their own, several processes against one, and what must be refused.
// Arguments: model files, the first of them with all terms and embeddings.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cpu/instruction_sets.h"
#include "cpu/so3krates_cpu.h"
#include "processes.h"

using namespace panna_plus;
using namespace panna_plus::test;

namespace {

struct Surroundings {
  const Exchange *exchange = nullptr;
  double charge = 0.0, spin = 0.0;
  bool are_centroids_wanted = false;  // pairs are then evaluated otherwise
};

std::unique_ptr<Potential> opened(const ModelFile &file, Precision precision = Precision::double_,
                                  const std::string &kernels = "") {
  Opening opening;
  opening.precision = precision;
  opening.kernels = kernels;
  return build_so3krates_cpu(file, opening);
}

Outcome run(const Potential &potential, const Cluster &cluster, int n_threads = 1, Surroundings around = {}) {
  const std::size_t n = std::size_t(cluster.n_atoms());
  Outcome out{{}, Numbers(n), Numbers(3 * n), Numbers(6 * n), Numbers(9 * n)};
  out.results.atomic_energies = out.energies.data();
  out.results.forces = out.forces.data();
  out.results.atomic_virials = out.atomic.data();
  if (around.are_centroids_wanted) out.results.centroid_virials = out.centroid.data();
  Neighborhood view = cluster.view(n_threads);
  view.exchange = around.exchange;
  view.total_charge = around.charge;
  view.unpaired_electrons = around.spin;
  potential.compute(view, out.results);
  return out;
}

/// Lists of a copy lie elsewhere.
Cluster copy_of(const Cluster &cluster) {
  Cluster copy = cluster;
  for (std::size_t i = 0; i < copy.neighbors.size(); ++i) {
    copy.neighbors[i] = copy.list.data() + (cluster.neighbors[i] - cluster.list.data());
  }
  return copy;
}

/// dE/ds by four evaluations.
double difference(const Potential &potential, const Cluster &cluster, Surroundings around,
                  const std::function<void(Cluster &, double)> &move) {
  constexpr double step = 2e-4;
  auto energy = [&](double s) {
    Cluster moved = copy_of(cluster);
    move(moved, s);
    return run(potential, moved, 1, around).results.energy;
  };
  return (8.0 * (energy(step) - energy(-step)) - (energy(2.0 * step) - energy(-2.0 * step))) / (12.0 * step);
}

void check_near(const std::string &what, double found, double expected, double tolerance) {
  check(std::fabs(found - expected) <= tolerance * (1.0 + std::fabs(expected)),
        what + ": " + std::to_string(found) + ", expected " + std::to_string(expected));
}

void test_differences(const std::string &name, const Potential &potential, const Cluster &cluster,
                      Surroundings around) {
  const Outcome found = run(potential, cluster, 1, around);
  check(rms(found.forces) > 0.1, name + ": the test's forces are too small to tell anything");
  for (std::size_t k = 0; k < found.forces.size(); k += 10) {
    const double expected =
        -difference(potential, cluster, around, [k](Cluster &c, double s) { c.positions[k] += s; });
    check_near(name + ", force by differences", found.forces[k], expected, 2e-7);
  }
  const std::pair<std::size_t, std::size_t> components[6] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
  for (const std::size_t k : {0, 3, 5}) {
    const auto [a, b] = components[k];
    const double expected = -difference(potential, cluster, around, [a = a, b = b](Cluster &c, double s) {
      for (std::size_t row = 0; row < c.positions.size(); row += 3) c.positions[row + a] += s * c.positions[row + b];
    });
    check_near(name + ", virial by differences", found.results.virial[k], expected, 1e-6);
    double atomic = 0.0;
    for (std::size_t row = 0; row < found.energies.size(); ++row) atomic += found.atomic[6 * row + k];
    check_near(name + ", sum of atomic virials", atomic, found.results.virial[k], 1e-10);
  }
}

/// What is wanted beside them changes energies, forces and the other virials by rounding alone.
Outcome with_centroids(const std::string &name, const Potential &potential, const Cluster &cluster,
                       Surroundings around) {
  const Outcome plain = run(potential, cluster, 1, around);
  around.are_centroids_wanted = true;
  const Outcome found = run(potential, cluster, 1, around);
  for (std::size_t k = 0; k < 6; ++k) {
    double sum = 0.0;
    for (std::size_t row = 0; row < found.energies.size(); ++row) {
      sum += 0.5 * (found.centroid[9 * row + k] + found.centroid[9 * row + (k < 3 ? k : k + 3)]);
    }
    check_near(name + ", sum of centroid virials", sum, found.results.virial[k], 1e-10);
  }
  compare(name + ", with centroid virials", found, plain, 1e-11 * scale_of(plain));
  return found;
}

/// An atom that has neighbours crosses the cutoff of another one that has others.
void test_crossing(const std::string &name, const Potential &potential, const Cluster &cluster, Surroundings around) {
  const double cutoff = potential.description().message_cutoff;
  const double *x = cluster.positions.data();
  for (std::size_t j = 1; j < cluster.species.size(); ++j) {
    double d[3], r = 0.0;
    for (std::size_t a = 0; a < 3; ++a) d[a] = x[3 * j + a] - x[a];
    for (const double each : d) r += each * each;
    r = std::sqrt(r);
    if (cluster.species[j] < 0 || std::fabs(r - cutoff) > 0.6) continue;
    auto moved_to = [&](double distance) {
      Cluster c = copy_of(cluster);
      for (std::size_t a = 0; a < 3; ++a) c.positions[3 * j + a] = x[a] + d[a] / r * distance;
      return run(potential, c, 1, around);
    };
    const Outcome inside = moved_to(cutoff - 1e-5), at = moved_to(cutoff), outside = moved_to(cutoff + 1e-5);
    for (std::size_t k = 0; k < at.forces.size(); ++k) {
      const double bend = inside.forces[k] - 2.0 * at.forces[k] + outside.forces[k];
      // The cosine cutoff has a kink of 5e-6.
      check(std::fabs(bend) < 2e-5, name + ": forces have a kink where an atom crosses the cutoff");
    }
    return;
  }
  check(false, name + ": no atom near the cutoff of the first one");
}

void test_model(const ModelFile &file, Surroundings around) {
  std::mt19937 random(11);
  const int n_elements = static_cast<int>(file.elements().size());
  const auto reference = opened(file, Precision::double_, "portable");
  const Cluster cluster = random_cluster(26, n_elements, 5.6, random);
  test_differences(file.path(), *reference, cluster, around);
  test_crossing(file.path(), *reference, cluster, around);
  const Outcome expected = with_centroids(file.path(), *reference, cluster, around);
  const double scale = scale_of(expected);
  for (const InstructionSet &set : instruction_sets()) {
    if (!set.is_supported()) continue;
    const std::string what = file.path() + ", " + set.name;
    const auto precise = opened(file, Precision::double_, set.name), mixed = opened(file, Precision::mixed, set.name);
    for (const int n_threads : {1, 3}) {
      for (const bool are_wanted : {false, true}) {
        around.are_centroids_wanted = are_wanted;
        compare(what + ", double", run(*precise, cluster, n_threads, around), expected, 1e-11 * scale);
        compare(what + ", mixed", run(*mixed, cluster, n_threads, around), expected, 1e-5 * scale);
      }
    }
  }
}

/// Atoms in a cubic cell, and all their images within `reach` of it; every row has its list.
struct Crystal {
  Cluster cluster;
  std::vector<std::int32_t> owners;
};

Crystal crystal(int n, double cell, double reach, double cutoff, int n_elements) {
  std::mt19937 random(4);
  Crystal crystal;
  Cluster &c = crystal.cluster;
  c = random_cluster(n, n_elements, 0.85 * cell, random);
  for (std::int32_t row = 0; row < n; ++row) crystal.owners.push_back(row);
  const int far = static_cast<int>(std::ceil(reach / cell)), side = 2 * far + 1;
  for (int k = 0; k < side * side * side; ++k) {
    const int shift[3] = {k % side - far, k / side % side - far, k / side / side - far};
    for (std::int32_t row = 0; row < n && (shift[0] || shift[1] || shift[2]); ++row) {
      const double *x = c.positions.data() + 3 * row;
      const double image[3] = {x[0] + cell * shift[0], x[1] + cell * shift[1], x[2] + cell * shift[2]};
      const double most = 0.5 * cell + reach;
      if (std::fabs(image[0]) > most || std::fabs(image[1]) > most || std::fabs(image[2]) > most) continue;
      c.positions.insert(c.positions.end(), image, image + 3);
      c.species.push_back(c.species[std::size_t(row)]);
      crystal.owners.push_back(row);
    }
  }
  c.list.clear();
  c.neighbors.clear();
  c.n_neighbors.clear();
  std::vector<std::size_t> begin;
  for (std::size_t i = 0; i < c.species.size(); ++i) {
    begin.push_back(c.list.size());
    for (std::size_t j = 0; j < c.species.size(); ++j) {
      double square = 0.0;
      for (std::size_t a = 0; a < 3; ++a) square += std::pow(c.positions[3 * i + a] - c.positions[3 * j + a], 2);
      if (j != i && square < cutoff * cutoff) c.list.push_back(static_cast<std::int32_t>(j));
    }
    c.n_neighbors.push_back(static_cast<std::int32_t>(c.list.size() - begin.back()));
  }
  for (const std::size_t each : begin) c.neighbors.push_back(c.list.data() + each);
  return crystal;
}

/// Serves images like OwnersExchange, as one of several processes would.
class Served : public OwnersExchange {
 public:
  using OwnersExchange::OwnersExchange;
  const std::int32_t *owners() const override { return nullptr; }
};

Numbers folded(const Numbers &values, const std::vector<std::int32_t> &owners, std::size_t width) {
  Numbers sums(values.size(), 0.0);
  for (std::size_t row = 0; row < owners.size(); ++row) {
    for (std::size_t k = 0; k < width; ++k) sums[std::size_t(owners[row]) * width + k] += values[row * width + k];
  }
  return sums;
}

/// The same crystal with images as rows of their own, served by an exchange, and known as rows of this process.
void test_images(const ModelFile &file) {
  const auto potential = opened(file);
  const Description &known = potential->description();
  const Crystal whole = crystal(7, 5.0, known.reach, known.cutoff, static_cast<int>(file.elements().size()));
  const OwnersExchange here(whole.cluster.n_atoms(), whole.owners.data());
  const Served served(whole.cluster.n_atoms(), whole.owners.data());
  const Outcome expected = with_centroids("images", *potential, whole.cluster, {});
  check(rms(expected.forces) > 0.02, "forces of the crystal are too small to tell anything");
  for (const Exchange *exchange : {static_cast<const Exchange *>(&here), static_cast<const Exchange *>(&served)}) {
    for (const auto &[n_threads, are_wanted] : {std::pair(1, false), {1, true}, {2, false}, {2, true}}) {
      const std::string what = exchange == &here ? "images here" : "images served";
      const Outcome found = run(*potential, whole.cluster, n_threads, {exchange, 0.0, 0.0, are_wanted});
      check_near(what + ", energy", found.results.energy, expected.results.energy, 1e-12);
      const Numbers virial(expected.results.virial, expected.results.virial + 6);
      check(largest_difference({found.results.virial, found.results.virial + 6}, virial) < 1e-9, what + ": virial");
      auto same = [&](const std::string &part, const Numbers &a, const Numbers &b, std::size_t width) {
        check(largest_difference(folded(a, whole.owners, width), folded(b, whole.owners, width)) < 1e-9,
              what + ": " + part);
      };
      same("forces", found.forces, expected.forces, 3);
      same("atomic virials", found.atomic, expected.atomic, 6);
      if (are_wanted) same("centroid virials", found.centroid, expected.centroid, 9);
    }
  }
}

/// Among four processes: one has most atoms, one a few, one an atom far away from all others, one none.
void test_processes(const ModelFile &file, bool has_images, bool are_wanted, bool one_fails) {
  const auto potential = opened(file);
  const Description &known = potential->description();
  System whole = free_system(24, 5.6, 21);
  std::fill_n(whole.cluster.positions.end() - 3, 3, 200.0);
  whole.cluster.species[23] = 0;
  const Outcome expected = with_centroids("processes", *potential, whole.cluster, {nullptr, 1.0, 1.0});
  std::vector<std::int32_t> atoms[4];
  for (std::int32_t row = 0; row < 23; ++row) atoms[row % 3 ? 0 : 1].push_back(row);
  atoms[2].push_back(23);
  Meeting meeting(4);
  Outcome parts[4];
  std::vector<std::int32_t> global[4];
  int n_calls[4] = {};
  std::string said[4];
  std::vector<std::thread> threads;
  for (int process = 0; process < 4; ++process) {
    threads.emplace_back([&, process] {
      System mine = part_of(whole, atoms[process], global[process]);
      const MeetingExchange exchange(meeting, has_images, global[process], 24, atoms[process].size());
      // The far atom: no pair of the messages would notice.
      if (one_fails && process == 1) mine.cluster.species.back() = 77;
      try {
        parts[process] = run(*potential, mine.cluster, 1 + process, {&exchange, 1.0, 1.0, are_wanted});
      } catch (const Failure &failure) {
        said[process] = failure.what();
      }
      n_calls[process] = exchange.n_calls;
    });
  }
  for (std::thread &thread : threads) thread.join();
  // One to agree, then there and back between layers, and those of the energy terms.
  const int of_terms = !known.uses_charge ? 0 : has_images ? 3 : 2;
  const int n_layers = known.n_exchanges + 1 - (known.cutoff > known.message_cutoff);
  const int n_expected = one_fails ? 1 : 1 + of_terms + (has_images ? 2 * (n_layers - 1) : 0);
  for (const int calls : n_calls) check(calls == n_expected, "number of calls of a process: " + std::to_string(calls));
  for (int process = 0; process < 4; ++process) {
    const std::string part = process == 1 ? "has species 77" : "another process stopped";
    check(one_fails ? said[process].find(part) != std::string::npos : said[process].empty(), "said: " + said[process]);
  }
  if (one_fails) return;
  double energy = 0.0;
  Numbers forces(72, 0.0), centroid(216, 0.0);
  for (int process = 0; process < 4; ++process) {
    energy += parts[process].results.energy;
    for (std::size_t row = 0; row < global[process].size(); ++row) {
      const std::size_t atom = std::size_t(global[process][row]);
      for (std::size_t a = 0; a < 3; ++a) forces[3 * atom + a] += parts[process].forces[3 * row + a];
      for (std::size_t a = 0; a < 9; ++a) centroid[9 * atom + a] += parts[process].centroid[9 * row + a];
    }
  }
  check_near("processes, energy", energy, expected.results.energy, 1e-12);
  check(largest_difference(forces, expected.forces) < 1e-9, "processes, forces");
  if (are_wanted) check(largest_difference(centroid, expected.centroid) < 1e-9, "processes, centroid virials");
}

void test_nothing(const ModelFile &file) {
  for (const Precision precision : {Precision::mixed, Precision::double_}) {
    const auto potential = opened(file, precision);
    std::mt19937 random(2);
    check(run(*potential, random_cluster(0, 1, 4.0, random)).results.energy == 0.0, "no atoms");
    Cluster lone = random_cluster(1, 1, 4.0, random);
    const Outcome found = run(*potential, lone, 3), charged = run(*potential, lone, 1, {nullptr, 1.0, 0.0});
    check(found.results.energy == file.array("reference_energies", {-1})[0], "energy of a lone atom");
    check(found.forces == Numbers(3, 0.0), "forces of a lone atom");
    check(charged.results.energy != found.results.energy, "energy of a lone ion");
  }
}

void test_refusals(const ModelFile &file) {
  const auto potential = opened(file, Precision::mixed);
  check_refusals("so3krates", *potential, {1, 3});
  std::mt19937 random(2);
  const Cluster cluster = random_cluster(5, 1, 4.0, random);
  check_refused("spin", "7 unpaired electrons", [&] { run(*potential, cluster, 1, {nullptr, 0.0, 7.0}); });
  check_refused("charge", "whole number", [&] { run(*potential, cluster, 1, {nullptr, 0.5, 0.0}); });
  check_refused("kernels", "portable", [&] { opened(file, Precision::mixed, "reference"); });
  Cluster half = copy_of(cluster);
  half.centers.pop_back();
  const std::vector<std::int32_t> owners = {0, 1, 2, 3, 4};
  const OwnersExchange exchange(5, owners.data());
  check_refused("no centre", "must be a centre", [&] { run(*potential, half, 1, {&exchange, 0.0, 0.0}); });
}

}  // namespace

int main(int n, char **arguments) {
  for (int k = 1; k < n; ++k) {
    const ModelFile file = ModelFile::read(arguments[k]);
    test_model(file, k == 1 ? Surroundings{nullptr, -1.0, 2.0} : Surroundings{});
    if (k > 1) test_images(file);
    for (const bool has_images : {true, false}) {
      for (const bool are_wanted : {false, true}) test_processes(file, has_images, are_wanted, false);
    }
    if (k > 1) continue;
    for (const bool has_images : {true, false}) test_processes(file, has_images, false, true);
    test_nothing(file);
    test_refusals(file);
  }
  return finish("test_so3krates");
}
