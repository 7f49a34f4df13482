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
