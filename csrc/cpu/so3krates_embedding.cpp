#include "cpu/so3krates_embedding.h"

#include <cmath>
#include <cstddef>

#include "math/activation.h"

namespace panna_plus {
namespace {

double softplus(double x) { return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

/// W silu(x)
std::vector<double> after_silu(const LinearMap &map, const std::vector<double> &x) {
  std::vector<double> y(static_cast<std::size_t>(map.n_out), 0.0);
  const double *weight = map.weight.data();
  for (double &sum : y) {
    for (const double value : x) sum += *weight++ * math::activate(math::Activation::silu, value).value;
  }
  return y;
}

/// Shares psi out among the atoms; adds to features (S, F) what each element's share means.
void add_state(const StateEmbedding &state, double psi, const std::vector<double> &n_atoms,
               std::vector<double> &features) {
  if (psi == 0.0) return;
  const std::size_t n_elements = n_atoms.size(), n = features.size() / n_elements, sign = psi < 0.0 ? n : 0;
  std::vector<double> weights(n_elements, 0.0);
  double total = 0.0;
  for (std::size_t s = 0; s < n_elements; ++s) {
    for (std::size_t f = 0; f < n; ++f) weights[s] += state.query[s * n + f] * state.keys[sign + f];
    weights[s] = softplus(weights[s] / std::sqrt(double(n)));
    total += n_atoms[s] * weights[s];
  }
  if (total == 0.0) return;
  for (std::size_t s = 0; s < n_elements; ++s) {
    std::vector<double> e(n);
    for (std::size_t f = 0; f < n; ++f) e[f] = psi * weights[s] / total * state.values[sign + f];
    const std::vector<double> added = after_silu(state.outer, after_silu(state.inner, e));
    for (std::size_t f = 0; f < n; ++f) features[s * n + f] += e[f] + added[f];
  }
}

}  // namespace

std::vector<double> element_features(const So3kratesParameters &model, const SystemState &state) {
  std::vector<double> features = model.element_features;
  if (model.charge) add_state(*model.charge, state.charge, state.n_atoms, features);
  if (model.spin) add_state(*model.spin, state.spin, state.n_atoms, features);
  for (double &value : features) value /= model.embedding_norm();
  return features;
}

}  // namespace panna_plus
