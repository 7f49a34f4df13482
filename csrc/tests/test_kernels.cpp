// Every compiled instruction set against the reference implementation, on random clusters of every
// size from a lone atom on, in both precisions, with one thread and with three.
// Arguments: model files of the family panna.

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "clusters.h"
#include "cpu/instruction_sets.h"
#include "cpu/panna_cpu.h"
#include "cpu/panna_reference.h"

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

/// The mean of the members' energies and forces is what a committee gives; asking for them changes forces by rounding.
void check_means(const std::string &what, const Outcome &asked, const Outcome &plain) {
  const std::size_t n_members = asked.member_energies.size(), n = asked.forces.size();
  std::vector<double> means(n, 0.0), energy(1, 0.0);
  for (std::size_t m = 0; m < n_members; ++m) {
    energy[0] += asked.member_energies[m] / double(n_members);
    for (std::size_t k = 0; k < n; ++k) means[k] += asked.member_forces[m * n + k] / double(n_members);
  }
  check(test::largest_difference(means, plain.forces) < 1e-10, what + ": mean of the members' forces");
  check(test::largest_difference(energy, {plain.results.energy}) < 1e-10, what + ": mean of the members' energies");
  check(test::largest_difference(asked.forces, plain.forces) < 1e-10, what + ": asking changes forces");
  check(asked.results.energy == plain.results.energy, what + ": asking changes the energy");
}

void test_members(const ModelFile &file, const Cluster &cluster) {
  const auto reference = build_panna_reference(file, Precision::double_);
  const Outcome expected = evaluate(*reference, cluster, 1, false, true);
  for (const InstructionSet &set : instruction_sets()) {
    if (!set.is_supported()) continue;
    const std::string what = file.path() + ", " + set.name + ", members";
    const auto precise = build_panna_cpu(file, Precision::double_, set.name);
    const auto mixed = build_panna_cpu(file, Precision::mixed, set.name);
    const Outcome asked = evaluate(*precise, cluster, 1, false, true);
    check_means(what, asked, evaluate(*precise, cluster, 1, false));
    compare(what + ", double", asked, expected, 1e-10);
    compare(what + ", double, three threads", evaluate(*precise, cluster, 3, true, true), expected, 1e-10);
    compare(what + ", mixed", evaluate(*mixed, cluster, 1, true, true), expected, 1e-4);
  }
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
    if (reference->description().n_members > 1) test_members(file, cluster);
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
  const std::vector<int> threads{1, 3};
  test::check_refusals("reference", *build_panna_reference(file, Precision::double_), threads);
  test::check_refusals("portable", *build_panna_cpu(file, Precision::mixed, "portable"), threads);
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
