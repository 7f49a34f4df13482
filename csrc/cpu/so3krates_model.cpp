#include "cpu/so3krates_model.h"

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "cpu/so3krates_tables.h"
#include "math/activation.h"

namespace panna_plus {
namespace {

// Errors of single precision are larger; in double every knot of the file is taken.
constexpr double single_tolerance = 2e-7;

std::size_t index(int n) { return static_cast<std::size_t>(n); }

/// Rows (n_features, n) spread to the padded chunks, (width, n), zero rows between them.
std::vector<double> spread_rows(const std::vector<double> &rows, int n, const ChunkView &chunks) {
  std::vector<double> spread(index(chunks.width()) * index(n), 0.0);
  for (int f = 0; f < chunks.n * chunks.size; ++f) {
    const int place = f / chunks.size * chunks.padded + f % chunks.size;
    for (int k = 0; k < n; ++k) spread[index(place) * index(n) + index(k)] = rows[index(f) * index(n) + index(k)];
  }
  return spread;
}

/// 1 where a component belongs to a degree: (L, M), times a factor of the degree.
LinearMap degree_sums(const std::vector<int> &degrees, int n_components, bool is_invariant) {
  LinearMap map{n_components, static_cast<int>(degrees.size()), {}, {}};
  map.weight.assign(degrees.size() * index(n_components), 0.0);
  std::size_t m = 0;
  for (std::size_t d = 0; d < degrees.size(); ++d) {
    const int n = 2 * degrees[d] + 1;
    for (int k = 0; k < n; ++k, ++m) map.weight[d * index(n_components) + m] = is_invariant ? 1.0 / std::sqrt(n) : 1.0;
  }
  return map;
}

/// What the spherical part gives where vectors are equal, to each feature.
std::vector<double> spherical_constant(const So3kratesCoefficients &part, bool is_first) {
  std::vector<double> sums = part.spherical_outer.bias;
  const int n_narrow = part.spherical_outer.n_in;
  for (int f = 0; is_first && f < part.spherical_outer.n_out; ++f) {
    for (int k = 0; k < n_narrow; ++k) {
      const double hidden = math::activate(math::Activation::silu, part.spherical_inner.bias[index(k)]).value;
      sums[index(f)] += part.spherical_outer.weight[index(f * n_narrow + k)] * hidden;
    }
  }
  return sums;
}

}  // namespace

template <class T>
So3kratesModel<T>::So3kratesModel(const So3kratesParameters &model, int lanes)
    : lanes_(lanes), n_elements_(model.n_elements) {
  const bool is_single = std::is_same<T, float>::value;
  const RadialTables tables = is_single ? thinned_tables(model.tables, single_tolerance) : model.tables;
  spacing_ = tables.spacing;
  n_knots_ = tables.n_knots;
  set_shape(model);
  for (int k = 0; k < model.n_layers(); ++k) add_layer(model, tables);
  head_.inner = linear(model.energy_inner);
  head_.outer = keep(model.energy_outer.weight);
  head_.activation = model.energy_activation;
}

/// Numbers, and zeros up to whole packs.
template <class T>
T *So3kratesModel<T>::keep(const std::vector<double> &values) {
  numbers_.emplace_back();
  const std::size_t n = values.size() + index(lanes_);
  T *const numbers = numbers_.back().zeroed(n);
  for (std::size_t k = 0; k < values.size(); ++k) numbers[k] = T(values[k]);
  bytes_ += numbers_.back().capacity() * sizeof(T);
  return numbers;
}

template <class T>
MatrixView<T> So3kratesModel<T>::matrix(const LinearMap &map, bool is_transposed) {
  MatrixView<T> view;
  view.n_in = is_transposed ? map.n_out : map.n_in;
  view.n_out = is_transposed ? map.n_in : map.n_out;
  view.padded = padded(view.n_out);
  std::vector<double> panels;
  panels.reserve(index(view.padded) * index(view.n_in));
  for (int first = 0; first < view.padded; first += 2 * lanes_) {
    for (int i = 0; i < view.n_in; ++i) {
      for (int o = first; o < first + 2 * lanes_ && o < view.padded; ++o) {
        const int place = is_transposed ? i * map.n_in + o : o * map.n_in + i;
        panels.push_back(o < view.n_out ? map.weight[index(place)] : 0.0);
      }
    }
  }
  view.panels = keep(panels);
  if (!is_transposed && !map.bias.empty()) view.bias = keep(map.bias);
  return view;
}

template <class T>
LinearView<T> So3kratesModel<T>::linear(const LinearMap &map) {
  return {matrix(map, false), matrix(map, true)};
}

template <class T>
ProjectionView<T> So3kratesModel<T>::projection(const std::vector<double> &weights, const ChunkView &chunks) {
  const std::size_t size = index(chunks.size) * index(chunks.size);
  chunks_.emplace_back();
  for (std::size_t c = 0; c < index(chunks.n); ++c) {
    const auto first = weights.begin() + static_cast<std::ptrdiff_t>(c * size);
    chunks_.back().push_back(
        linear({chunks.size, chunks.size, {first, first + static_cast<std::ptrdiff_t>(size)}, {}}));
  }
  return {chunks_.back().data()};
}

template <class T>
NormView<T> So3kratesModel<T>::norm(const std::optional<LayerNorm> &norm) {
  return norm ? NormView<T>{keep(norm->scale), keep(norm->shift)} : NormView<T>{};
}

template <class T>
ResidualView<T> So3kratesModel<T>::residual(const std::optional<ResidualPerceptron> &perceptron) {
  if (!perceptron) return {};
  return {true, linear(perceptron->inner), linear(perceptron->outer)};
}

template <class T>
void So3kratesModel<T>::set_shape(const So3kratesParameters &model) {
  degrees_ = model.degrees;
  shape_.n_features = model.n_features;
  shape_.n_degrees = model.n_degrees();
  shape_.n_components = model.n_components();
  shape_.features = padded(model.n_features);
  shape_.components = padded(shape_.n_components);
  shape_.narrow = padded(model.n_features / 4);
  shape_.degrees = degrees_.data();
  shape_.is_feature = keep(std::vector<double>(index(model.n_features), 1.0));
  std::vector<double> parity;
  for (const int degree : degrees_) parity.insert(parity.end(), index(2 * degree + 1), degree % 2 ? -1.0 : 1.0);
  shape_.parity = keep(parity);
  shape_.invariants = linear(degree_sums(degrees_, shape_.n_components, true));
  shape_.sums = linear(degree_sums(degrees_, shape_.n_components, false));
  shape_.has_activation = model.query_key_activation == math::Activation::silu;
  shape_.inverse_spacing = T(1.0 / spacing_);
}

template <class T>
CoefficientsView<T> So3kratesModel<T>::coefficients(const So3kratesCoefficients &part, int n_chunks) {
  CoefficientsView<T> view;
  const int size = shape_.n_features / n_chunks;
  view.chunks = {n_chunks, size, padded(size)};
  const LinearMap &outer = part.spherical_outer;
  view.spherical_outer =
      linear({outer.n_in, view.chunks.width(), spread_rows(outer.weight, outer.n_in, view.chunks), {}});
  view.query = projection(part.query, view.chunks);
  view.key = projection(part.key, view.chunks);
  return view;
}

template <class T>
LinearView<T> So3kratesModel<T>::spherical_inner(const So3kratesLayer &layer) {
  LinearMap joined{shape_.n_degrees, 2 * shape_.narrow, {}, {}};
  for (const So3kratesCoefficients *part : {&layer.features, &layer.vectors}) {
    const LinearMap &inner = part->spherical_inner;
    const std::size_t n_rows = joined.bias.size() + index(shape_.narrow);
    joined.weight.insert(joined.weight.end(), inner.weight.begin(), inner.weight.end());
    joined.weight.resize(n_rows * index(shape_.n_degrees), 0.0);
    joined.bias.insert(joined.bias.end(), inner.bias.begin(), inner.bias.end());
    joined.bias.resize(n_rows, 0.0);
  }
  return linear(joined);
}

/// Knots of filter number `row` with the constant of its spherical part.
template <class T>
T *So3kratesModel<T>::table(const RadialTables &tables, std::size_t row, const So3kratesCoefficients &part,
                            const ChunkView &chunks, bool is_first) {
  const std::vector<double> constant = spherical_constant(part, is_first);
  const std::size_t n = index(tables.n_features), n_knots = index(tables.n_knots);
  std::vector<double> packed;
  packed.reserve(3 * n_knots * index(chunks.width()));
  for (std::size_t k = 0; k < n_knots; ++k) {
    for (int order = 0; order < 3; ++order) {
      const double *from = tables.values.data() + ((row * n_knots + k) * 3 + index(order)) * n;
      std::vector<double> values(from, from + n);
      for (std::size_t f = 0; f < n; ++f) values[f] = values[f] * std::pow(tables.spacing, order);
      for (std::size_t f = 0; order == 0 && f < n; ++f) values[f] += constant[f];
      const std::vector<double> spread = spread_rows(values, 1, chunks);
      packed.insert(packed.end(), spread.begin(), spread.end());
    }
  }
  return keep(packed);
}

template <class T>
void So3kratesModel<T>::add_layer(const So3kratesParameters &model, const RadialTables &tables) {
  const std::size_t k = layers_.size();
  const So3kratesLayer &layer = model.layers[k];
  So3kratesLayerView<T> view;
  view.shape = &shape_;
  view.is_first = k == 0;
  view.features = coefficients(layer.features, model.n_heads);
  view.vectors = coefficients(layer.vectors, model.n_degrees());
  view.features.inverse_norm = T(1.0 / model.message_norms[0]);
  view.vectors.inverse_norm = T(1.0 / model.message_norms[1]);
  view.features.table = table(tables, 2 * k, layer.features, view.features.chunks, view.is_first);
  view.vectors.table = table(tables, 2 * k + 1, layer.vectors, view.vectors.chunks, view.is_first);
  view.value = projection(layer.value, view.features.chunks);
  view.spherical_inner = spherical_inner(layer);
  view.norm_1 = norm(layer.norm_1);
  view.norm_2 = norm(layer.norm_2);
  view.residual_1 = residual(layer.residual_1);
  view.residual_2 = residual(layer.residual_2);
  view.exchange = linear(layer.exchange);
  layers_.push_back(view);
}

template class So3kratesModel<float>;
template class So3kratesModel<double>;

}  // namespace panna_plus
