// The descriptor on the emulated device, from displacements: Jacobian-vector products against finite differences, their
// adjoint against the gradient, and what must be reported.
// Arguments: model files of the family panna.

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/device_memory.h"
#include "cuda/pair_descriptor.h"

using namespace panna_plus;
using test::check;
using test::check_refused;

namespace {

/// Pairs on the host; device memory is host memory here.
struct Pairs {
  std::vector<double> displacements;
  std::vector<std::int64_t> row_start{0};
  std::vector<std::int32_t> species;

  std::int64_t n_centers() const { return std::int64_t(row_start.size()) - 1; }
  std::int64_t n_pairs() const { return std::int64_t(species.size()); }
  DevicePairs view() const {
    return {n_centers(), n_pairs(), displacements.data(), row_start.data(), species.data(), nullptr};
  }
};

/// Centres with different numbers of neighbours between 0.8 and `reach`.
Pairs random_pairs(const std::vector<int> &n_neighbors, int n_elements, double reach, std::mt19937 &random) {
  std::uniform_real_distribution<double> cosine(-1.0, 1.0), turn(0.0, 6.28), length(0.8, reach);
  Pairs pairs;
  for (const int n : n_neighbors) {
    for (int k = 0; k < n; ++k) {
      const double c = cosine(random), s = std::sqrt(1.0 - c * c), phi = turn(random), r = length(random);
      for (const double x : {r * s * std::cos(phi), r * s * std::sin(phi), r * c}) pairs.displacements.push_back(x);
      pairs.species.push_back(std::int32_t(random() % unsigned(n_elements)));
    }
    pairs.row_start.push_back(pairs.n_pairs());
  }
  return pairs;
}

/// Runs `call` with memory and an error word; returns the word.
template <class Call>
unsigned long long run(const DeviceDescriptor &descriptor, const Pairs &pairs, Call call) {
  cuda::DeviceArray<unsigned char> memory;
  unsigned long long error = 0;
  const std::size_t bytes = descriptor.memory(pairs.n_centers(), pairs.n_pairs());
  call(pairs.view(), DeviceCall{memory.reserve(bytes), &error, nullptr});
  return error;
}

template <class T>
std::vector<T> forward(const DeviceDescriptor &descriptor, const Pairs &pairs) {
  std::vector<T> features(std::size_t(pairs.n_centers() * descriptor.n_features()));
  descriptor.explain(run(descriptor, pairs, [&](const DevicePairs &view, const DeviceCall &call) {
    descriptor.forward(view, call, features.data());
  }));
  return features;
}

template <class T>
std::vector<T> backward(const DeviceDescriptor &descriptor, const Pairs &pairs, const std::vector<T> &g) {
  std::vector<T> gradients(std::size_t(3 * pairs.n_pairs()), T(NAN));
  descriptor.explain(run(descriptor, pairs, [&](const DevicePairs &view, const DeviceCall &call) {
    descriptor.backward(view, call, g.data(), gradients.data());
  }));
  return gradients;
}

template <class T>
std::vector<T> tangent(const DeviceDescriptor &descriptor, const Pairs &pairs, const std::vector<T> &v) {
  std::vector<T> features(std::size_t(pairs.n_centers() * descriptor.n_features()));
  descriptor.explain(run(descriptor, pairs, [&](const DevicePairs &view, const DeviceCall &call) {
    descriptor.tangent(view, call, v.data(), features.data());
  }));
  return features;
}

template <class T>
std::unique_ptr<DeviceDescriptor> descriptor_of(const PannaParameters &parameters) {
  return build_panna_device_descriptor(parameters, sizeof(T) == 4 ? Precision::mixed : Precision::double_, 0);
}

template <class T>
std::vector<T> random_numbers(std::size_t n, std::mt19937 &random) {
  std::normal_distribution<double> normal;
  std::vector<T> values(n);
  for (T &value : values) value = T(normal(random));
  return values;
}

template <class T>
double dot(const std::vector<T> &a, const std::vector<T> &b) {
  double sum = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += double(a[k]) * double(b[k]);
  return sum;
}

template <class T>
double norm(const std::vector<T> &a) {
  return std::sqrt(dot(a, a));
}

void expect_near(const std::string &what, double found, double expected, double tolerance) {
  check(std::fabs(found - expected) <= tolerance,
        what + ": " + std::to_string(found) + ", expected " + std::to_string(expected) + " +- " +
            std::to_string(tolerance));
}

template <class T>
void test_adjoint(const PannaParameters &parameters, const std::string &what, double tolerance) {
  std::mt19937 random(3);
  const auto made = descriptor_of<T>(parameters);
  const DeviceDescriptor &descriptor = *made;
  // The largest centre has more neighbours than there is room for in shared memory.
  const auto pairs =
      random_pairs({25, 0, 1, 2, 3, 260, 33, 8}, parameters.n_elements, 1.2 * parameters.cutoff(), random);
  const auto v = random_numbers<T>(std::size_t(3 * pairs.n_pairs()), random);
  const auto g = random_numbers<T>(std::size_t(pairs.n_centers() * descriptor.n_features()), random);
  const std::vector<T> pulled = backward(descriptor, pairs, g), pushed = tangent(descriptor, pairs, v);
  const double scale = norm(v) * norm(pulled);
  check(scale > 1.0, what + ": the test's gradients are too small to tell anything");
  expect_near(what + ", <v, backward g> and <g, tangent v>", dot(v, pulled), dot(g, pushed), tolerance * scale);
}

void test_tangent(const PannaParameters &parameters, const std::string &what) {
  std::mt19937 random(5);
  const auto made = descriptor_of<double>(parameters);
  const DeviceDescriptor &descriptor = *made;
  const auto pairs = random_pairs({17, 0, 1, 12}, parameters.n_elements, parameters.cutoff(), random);
  const auto v = random_numbers<double>(std::size_t(3 * pairs.n_pairs()), random);
  const double step = 1e-5;
  auto moved = [&](double sign) {
    Pairs there = pairs;
    for (std::size_t k = 0; k < v.size(); ++k) there.displacements[k] += sign * step * v[k];
    return forward<double>(descriptor, there);
  };
  const std::vector<double> ahead = moved(1.0), behind = moved(-1.0), found = tangent(descriptor, pairs, v);
  check(norm(found) > 1.0, what + ": the test's tangents are too small to tell anything");
  double largest = 0.0;
  for (std::size_t k = 0; k < found.size(); ++k) {
    largest = std::max(largest, std::fabs(found[k] - (ahead[k] - behind[k]) / (2.0 * step)));
  }
  expect_near(what + ", tangent against finite differences", largest, 0.0, 1e-6 * norm(found));
}

/// Rows that would be read out of bounds.
template <class Refuse>
void refuse_rows(const Pairs &good, Refuse refuse) {
  const std::string wanted = "expected values that ascend from 0 to the number of pairs";
  for (const std::vector<std::int64_t> &rows : {std::vector<std::int64_t>{0, 9, 4, 12}, {0, -4, 7, 12}, {1, 4, 7, 12},
                                                {0, 4, 7, 11}, {0, 4, 7, 13}, {0, 1ll << 40, 1ll << 41, 12}}) {
    Pairs bad = good;
    bad.row_start = rows;
    refuse("rows that do not ascend", bad, wanted);
  }
  Pairs bad = good;
  bad.row_start = {0};
  refuse("pairs without centres", bad, "found 12 pairs and no center");
}

void test_reports(const PannaParameters &parameters) {
  std::mt19937 random(9);
  const auto descriptor = descriptor_of<float>(parameters);
  const Pairs good = random_pairs({4, 3, 5}, parameters.n_elements, parameters.cutoff(), random);
  auto refuse = [&](const std::string &what, const Pairs &pairs, const std::string &part) {
    check_refused(what, part, [&] { forward<float>(*descriptor, pairs); });
  };
  Pairs bad = good;
  for (int a = 0; a < 3; ++a) bad.displacements[std::size_t(3 * 5 + a)] = 0.0;
  refuse("a displacement of 0", bad, "center 1: expected displacements of finite length");
  bad = good;
  bad.displacements[3 * 6 + 1] = NAN;
  bad.displacements[3 * 9] = NAN;
  refuse("displacements that are not finite", bad, "center 1: expected displacements of finite length");
  for (const std::int32_t species : {parameters.n_elements, -1}) {
    bad = good;
    bad.species[4] = species;
    refuse("an unknown species", bad,
           "center 1: expected displacements of finite length above 1e-8 angstrom, and neighbors of species 0 to");
  }
  refuse("a crowd", random_pairs({1, 46000}, 1, parameters.cutoff(), random), "center 1 has more than 40000");
  check(forward<float>(*descriptor, Pairs()).empty(), "no centres at all are an error");
  refuse_rows(good, refuse);
}

}  // namespace

int main(int n, char **arguments) {
  for (int k = 1; k < n; ++k) {
    const ModelFile file = ModelFile::read(arguments[k]);
    const PannaParameters parameters = read_panna_parameters(file);
    test_adjoint<double>(parameters, file.path() + ", double", 1e-13);
    test_adjoint<float>(parameters, file.path() + ", float", 1e-5);
    test_tangent(parameters, file.path());
    if (k == 1) test_reports(parameters);
  }
  return test::finish("test_cuda_descriptor");
}
