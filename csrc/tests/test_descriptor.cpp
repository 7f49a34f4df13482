// The three functions of a descriptor on lists of displacements, with every compiled instruction set: against each
// other (adjoint identity), against finite differences and against the portable set; in ranges and in threads.
// Arguments: model files of the family panna.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/instruction_sets.h"
#include "cpu/panna_descriptor.h"
#include "system/threads.h"

using namespace panna_plus;
using test::check;
using test::check_refused;

namespace {

using Numbers = std::vector<double>;

struct Lists {
  Numbers displacements;
  std::vector<std::int64_t> row_start = {0};
  std::vector<std::int32_t> species;

  std::int64_t n_centers() const { return static_cast<std::int64_t>(row_start.size()) - 1; }

  PairLists view() const {
    const std::int64_t n_pairs = static_cast<std::int64_t>(species.size());
    return {n_centers(), n_pairs, displacements.data(), row_start.data(), species.data(), nullptr};
  }
};

/// Neighbors 0.9 to 5.5 away, the third of each center opposite to its second.
Lists random_lists(const std::vector<int> &counts, int n_elements, std::mt19937 &random) {
  std::uniform_real_distribution<double> uniform(0.9, 5.5);
  std::normal_distribution<double> normal;
  Lists lists;
  for (const int count : counts) {
    for (int k = 0; k < count; ++k) {
      double r[3] = {normal(random), normal(random), normal(random)};
      if (k == 2) {
        for (int a = 0; a < 3; ++a) r[a] = -lists.displacements[lists.displacements.size() - 3 + std::size_t(a)];
      }
      const double length = std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), wanted = uniform(random);
      for (const double x : r) lists.displacements.push_back(x / length * wanted);
      lists.species.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(n_elements)));
    }
    lists.row_start.push_back(lists.row_start.back() + count);
  }
  return lists;
}

Numbers random_numbers(std::size_t n, std::mt19937 &random) {
  std::normal_distribution<double> normal;
  Numbers numbers(n);
  for (double &x : numbers) x = normal(random);
  return numbers;
}

struct Evaluation {
  Numbers forward, backward, tangent;
};

/// Evaluates centers in ranges of `step`, dealt out to `n_threads`.
Evaluation evaluate(const PairDescriptor &functions, const Lists &lists, const Numbers &g, const Numbers &v,
                    std::int64_t step, int n_threads) {
  const PairLists view = lists.view();
  Evaluation out{Numbers(g.size(), 7.0), Numbers(v.size(), 7.0), Numbers(g.size(), 7.0)};
  run_in_threads(n_threads, [&](int rank) {
    for (std::int64_t first = rank * step; first < view.n_centers; first += n_threads * step) {
      const CenterRange range{first, std::min(first + step, view.n_centers)};
      functions.forward(view, range, out.forward.data());
      functions.backward(view, range, g.data(), out.backward.data());
      functions.tangent(view, range, v.data(), out.tangent.data());
    }
  });
  return out;
}

double largest(const Numbers &values) {
  double found = 0.0;
  for (const double value : values) found = std::max(found, std::isnan(value) ? 1e300 : std::fabs(value));
  return found;
}

void compare(const std::string &what, const Numbers &found, const Numbers &expected, double tolerance) {
  Numbers difference(found);
  for (std::size_t k = 0; k < found.size(); ++k) difference[k] -= expected[k];
  const double error = largest(difference), allowed = tolerance * largest(expected);
  check(error <= allowed, what + ": differs by " + std::to_string(error / allowed) + " of the tolerance");
}

void compare(const std::string &what, const Evaluation &found, const Evaluation &expected, double tolerance) {
  compare(what + ", forward", found.forward, expected.forward, tolerance);
  compare(what + ", backward", found.backward, expected.backward, tolerance);
  compare(what + ", tangent", found.tangent, expected.tangent, tolerance);
}

void check_adjoint(const std::string &what, const Evaluation &found, const Numbers &g, const Numbers &v) {
  double left = 0.0, right = 0.0, size = 0.0;
  for (std::size_t k = 0; k < g.size(); ++k) left += g[k] * found.tangent[k];
  for (std::size_t k = 0; k < v.size(); ++k) right += v[k] * found.backward[k];
  for (std::size_t k = 0; k < v.size(); ++k) size += std::fabs(v[k] * found.backward[k]);
  check(size > 0.1, what + ": the test's gradients are too small to tell anything");
  check(std::fabs(left - right) <= 1e-12 * size, what + ": adjoint identity off by " + std::to_string(left - right));
}

void check_differences(const std::string &what, const PairDescriptor &functions, Lists lists, const Numbers &v,
                       const Numbers &tangent) {
  const double step = 1e-5;
  Numbers moved[2] = {Numbers(tangent.size()), Numbers(tangent.size())};
  const Numbers origin = lists.displacements;
  for (const int side : {0, 1}) {
    for (std::size_t k = 0; k < v.size(); ++k) lists.displacements[k] = origin[k] + (side ? step : -step) * v[k];
    functions.forward(lists.view(), {0, lists.n_centers()}, moved[side].data());
  }
  Numbers expected(tangent.size());
  for (std::size_t k = 0; k < tangent.size(); ++k) expected[k] = (moved[1][k] - moved[0][k]) / (2.0 * step);
  compare(what + ", finite differences", tangent, expected, 1e-6);
}

void test_model(const ModelFile &file) {
  std::mt19937 random(11);
  const PannaParameters parameters = read_panna_parameters(file);
  const std::vector<int> counts = {0, 1, 2, 3, 9, 30, 70, 0, 5, 17};
  const Lists lists = random_lists(counts, parameters.n_elements, random);
  const std::size_t n_features = static_cast<std::size_t>(parameters.n_features());
  const Numbers g = random_numbers(counts.size() * n_features, random);
  const Numbers v = random_numbers(lists.displacements.size(), random);
  const auto portable = build_panna_descriptor(parameters, Precision::double_, "portable");
  const Evaluation expected = evaluate(*portable, lists, g, v, lists.n_centers(), 1);
  // Without softening a window has a cusp where atoms are collinear: no differences there.
  const bool is_smooth = parameters.descriptor == PannaDescriptor::bp || parameters.angular.epsilon > 0.0;
  if (is_smooth) check_differences(file.path(), *portable, lists, v, expected.tangent);
  for (const InstructionSet &set : instruction_sets()) {
    if (!set.is_supported()) continue;
    const std::string what = file.path() + ", " + set.name;
    const auto precise = build_panna_descriptor(parameters, Precision::double_, set.name);
    const auto mixed = build_panna_descriptor(parameters, Precision::mixed, set.name);
    const Evaluation found = evaluate(*precise, lists, g, v, lists.n_centers(), 1);
    check_adjoint(what, found, g, v);
    compare(what, found, expected, is_smooth ? 1e-12 : 1e-6);
    compare(what + ", ranges and threads", evaluate(*precise, lists, g, v, 2, 3), found, 0.0);
    compare(what + ", mixed", evaluate(*mixed, lists, g, v, 3, 1), expected, is_smooth ? 2e-5 : 2e-3);
  }
}

void test_refusals(const ModelFile &file) {
  std::mt19937 random(12);
  const auto functions = build_panna_descriptor(read_panna_parameters(file), Precision::double_, "");
  const Lists good = random_lists({3, 0, 8}, 1, random);
  Numbers features(3 * static_cast<std::size_t>(functions->n_features()));
  auto refuse = [&](const std::string &part, const std::function<void(Lists &, CenterRange &)> &spoil) {
    Lists bad = good;
    CenterRange range{0, 3};
    spoil(bad, range);
    check_refused(part, part, [&] { functions->forward(bad.view(), range, features.data()); });
  };
  refuse("pair 4 (of center 2)", [](Lists &l, CenterRange &) { std::fill_n(l.displacements.data() + 12, 3, 0.0); });
  refuse("not finite", [](Lists &l, CenterRange &) { l.displacements[13] = std::nan(""); });
  refuse("not finite", [](Lists &l, CenterRange &) { l.displacements[13] = 1e200; });
  refuse("neighbor_species[5]", [](Lists &l, CenterRange &) { l.species[5] = 50; });
  refuse("neighbor_species[5]", [](Lists &l, CenterRange &) { l.species[5] = -1; });
  refuse("found 4 and 3", [](Lists &l, CenterRange &) { l.row_start[1] = 4; });
  refuse("end with 11", [](Lists &l, CenterRange &) { l.row_start[3] = 12; });
  refuse("begin with 0", [](Lists &l, CenterRange &) { l.row_start[0] = 1; });
  refuse("centers 1 to 4", [](Lists &, CenterRange &range) { range = {1, 4}; });
  refuse("centers -1 to 3", [](Lists &, CenterRange &range) { range = {-1, 3}; });
}

}  // namespace

int main(int n, char **arguments) {
  for (int k = 1; k < n; ++k) {
    const ModelFile file = ModelFile::read(arguments[k]);
    test_model(file);
    if (k == 1) test_refusals(file);
  }
  return test::finish("test_descriptor");
}
