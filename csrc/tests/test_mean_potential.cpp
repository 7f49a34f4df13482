// Several potentials as one: their mean and members, faults that the parts find, and faults of one process among two.
// Arguments: model files of the family panna, of which those with equal elements are taken together.

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clusters.h"
#include "cpu/panna_reference.h"
#include "potential/mean_potential.h"
#include "processes.h"

using namespace panna_plus;
using test::check;
using test::Cluster;
using test::evaluate;
using test::Outcome;

namespace {

void add(std::vector<double> &total, const std::vector<double> &part, double share) {
  total.resize(part.size(), 0.0);
  for (std::size_t k = 0; k < part.size(); ++k) total[k] += share * part[k];
}

NamedPotential opened(const std::string &path) {
  return {path, build_panna_reference(ModelFile::read(path), Precision::double_)};
}

std::vector<NamedPotential> opened(const std::vector<std::string> &paths) {
  std::vector<NamedPotential> all;
  for (const std::string &path : paths) all.push_back(opened(path));
  return all;
}

void test_mean(const std::vector<std::string> &paths) {
  const auto mean = mean_of(opened(paths));
  std::mt19937 random(5);
  const Cluster cluster =
      test::random_cluster(24, static_cast<int>(mean->description().elements.size()), 5.0, random);
  Outcome expected;
  double n_averaged = 0.0;
  for (const NamedPotential &part : opened(paths)) n_averaged += part.potential->description().n_members;
  for (const NamedPotential &part : opened(paths)) {
    const Outcome own = evaluate(*part.potential, cluster, 1, true);
    const double share = part.potential->description().n_members / n_averaged;
    check(test::rms(own.forces) > 0.1, "the test's forces are too small to tell anything");
    add(expected.energies, own.energies, share);
    add(expected.forces, own.forces, share);
    add(expected.atomic, own.atomic, share);
    add(expected.centroid, own.centroid, share);
    expected.results.energy += share * own.results.energy;
    for (int a = 0; a < 6; ++a) expected.results.virial[a] += share * own.results.virial[a];
    if (own.results.closest.ratio < expected.results.closest.ratio) expected.results.closest = own.results.closest;
  }
  check(mean->description().n_members == static_cast<int>(n_averaged), "number of members");
  for (const int n_threads : {1, 3}) {
    const Outcome found = evaluate(*mean, cluster, n_threads, true);
    test::compare("mean of " + std::to_string(paths.size()), found, expected, 1e-10);
    check(test::largest_difference(found.atomic, expected.atomic) < 1e-10, "atomic virials of the mean");
    check(test::largest_difference(found.centroid, expected.centroid) < 1e-10, "centroid virials of the mean");
  }
  test::check_refusals("mean", *mean, {1, 3});
}

/// Takes part in one sum, unless it finds a fault in its own lists before, as local models do.
class Part final : public Potential {
 public:
  Part(bool is_local, bool is_faulty) : Potential(Description()), is_local_(is_local), is_faulty_(is_faulty) {}

  void compute(const Neighborhood &atoms, Results &results) const override {
    require(!is_faulty_, "a fault of this process");
    double one = 1.0;
    if (!is_local_) atoms.exchange->sum(&one, 1);
    results.energy += one;
  }
  std::size_t memory_usage() const override { return 0; }

 private:
  bool is_local_, is_faulty_;
};

/// What one of two processes says, and how often it took part in sums.
std::pair<std::string, int> answer_of(test::Meeting &meeting, bool is_faulty) {
  std::vector<NamedPotential> parts;
  parts.push_back({"local", std::make_unique<Part>(true, is_faulty)});
  parts.push_back({"with messages", std::make_unique<Part>(false, false)});
  const auto mean = mean_of(std::move(parts));
  const test::MeetingExchange exchange(meeting, false, {}, 0, 0);
  Neighborhood atoms;
  atoms.exchange = &exchange;
  Results results;
  std::string said = "nothing";
  try {
    mean->compute(atoms, results);
  } catch (const Failure &failure) {
    said = failure.what();
  }
  return {said, exchange.n_calls};
}

/// A process whose first part fails still takes part in the exchanges of the second one.
void test_processes() {
  test::Meeting meeting(2);
  std::pair<std::string, int> first, second;
  std::thread other([&] { second = answer_of(meeting, true); });
  first = answer_of(meeting, false);
  other.join();
  check(first.first == "nothing", "the process without a fault says " + first.first);
  check(second.first == "a fault of this process", "the process with a fault says " + second.first);
  check(first.second == 2 && second.second == 2, "processes take part in different numbers of sums");
}

}  // namespace

int main(int n, char **arguments) {
  std::vector<std::vector<std::string>> groups;
  for (int k = 1; k < n; ++k) {
    const std::vector<std::string> elements = ModelFile::read(arguments[k]).elements();
    const auto fits = [&](const std::vector<std::string> &group) {
      return ModelFile::read(group.front()).elements() == elements;
    };
    const auto group = std::find_if(groups.begin(), groups.end(), fits);
    if (group != groups.end()) group->push_back(arguments[k]);
    else groups.push_back({arguments[k]});
  }
  for (const std::vector<std::string> &group : groups) {
    if (group.size() > 1) test_mean(group);
  }
  test::check_refused("nothing", "at least one model file", [] { mean_of({}); });
  test_processes();
  return test::finish("test_mean_potential");
}
