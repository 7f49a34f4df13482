// What happens to each atom on its own: projections to queries, keys and values, the part of a layer after the
// attention, and the energy. Rows of a block of atoms go through it together.
#pragma once

#include "cpu/so3krates_multiply.h"

namespace panna_plus::PANNA_ISA {

constexpr int block_rows = 16;

/// y = x for n numbers.
template <class T>
PANNA_HD void copy_row(const T *x, std::int64_t n, T *y) {
  for (std::int64_t k = 0; k < n; ++k) y[k] = x[k];
}

template <class T>
void apply_silu(T *values, std::int64_t n) {
  using V = Pack<T>;
  for (std::int64_t k = 0; k < n; k += V::width) silu(V::load(values + k)).value.store(values + k);
}

/// derivatives *= silu'(x)
template <class T>
void apply_silu_slope(const T *x, std::int64_t n, T *derivatives) {
  using V = Pack<T>;
  for (std::int64_t k = 0; k < n; k += V::width) {
    (V::load(derivatives + k) * silu(V::load(x + k)).slope).store(derivatives + k);
  }
}

/// out (n, width of chunks) = one matrix per chunk times the features x (n, features).
template <class T>
void project_one(const ShapeView<T> &shape, const ChunkView &chunks, const ProjectionView<T> &projection,
                 std::int64_t n, const T *x, T *out) {
  for (int c = 0; c < chunks.n; ++c) {
    multiply(projection.chunks[c].forward, n, x + c * chunks.size, shape.features, out + c * chunks.padded,
             chunks.width());
  }
}

template <class T>
void project(const So3kratesLayerView<T> &layer, std::int64_t n, const T *x, const AttentionArrays<T> &out) {
  const ShapeView<T> &shape = *layer.shape;
  const ChunkView heads = layer.features.chunks, degrees = layer.vectors.chunks;
  project_one(shape, heads, layer.features.query, n, x, out.query_1);
  project_one(shape, heads, layer.features.key, n, x, out.key_1);
  project_one(shape, heads, layer.value, n, x, out.value);
  project_one(shape, degrees, layer.vectors.query, n, x, out.query_2);
  project_one(shape, degrees, layer.vectors.key, n, x, out.key_2);
  if (!shape.has_activation) return;
  apply_silu(out.query_1, n * heads.width());
  apply_silu(out.key_1, n * heads.width());
  apply_silu(out.query_2, n * degrees.width());
  apply_silu(out.key_2, n * degrees.width());
}

/// Of one projection; scratch (block_rows, width of chunks and of one chunk).
template <class T>
void project_one_back(const ShapeView<T> &shape, const ChunkView &chunks, const ProjectionView<T> &projection,
                      bool has_activation, std::int64_t n, const T *x, T *adjoint, T *x_adjoint, T *scratch) {
  for (std::int64_t row = 0; row < n; row += block_rows) {
    const std::int64_t n_rows = n - row < block_rows ? n - row : block_rows;
    T *const own = adjoint + row * chunks.width();
    if (has_activation) {
      project_one(shape, chunks, projection, n_rows, x + row * shape.features, scratch);
      apply_silu_slope(scratch, n_rows * chunks.width(), own);
    }
    for (int c = 0; c < chunks.n; ++c) {
      multiply(projection.chunks[c].backward, n_rows, own + c * chunks.padded, chunks.width(), scratch, chunks.padded);
      for (std::int64_t r = 0; r < n_rows; ++r) {
        T *const out = x_adjoint + (row + r) * shape.features + c * chunks.size;
        for (int k = 0; k < chunks.size; ++k) out[k] += scratch[r * chunks.padded + k];
      }
    }
  }
}

template <class T>
void project_back(const So3kratesLayerView<T> &layer, std::int64_t n, const T *x, const AttentionArrays<T> &adjoint,
                  T *x_adjoint, T *scratch) {
  const ShapeView<T> &shape = *layer.shape;
  const ChunkView heads = layer.features.chunks, degrees = layer.vectors.chunks;
  const bool on = shape.has_activation;
  project_one_back(shape, heads, layer.features.query, on, n, x, adjoint.query_1, x_adjoint, scratch);
  project_one_back(shape, heads, layer.features.key, on, n, x, adjoint.key_1, x_adjoint, scratch);
  project_one_back(shape, heads, layer.value, false, n, x, adjoint.value, x_adjoint, scratch);
  project_one_back(shape, degrees, layer.vectors.query, on, n, x, adjoint.query_2, x_adjoint, scratch);
  project_one_back(shape, degrees, layer.vectors.key, on, n, x, adjoint.key_2, x_adjoint, scratch);
}

constexpr double layer_norm_epsilon = 1e-6;

/// x (features) becomes scale (x - mean) / deviation + shift; `normalized` (x - mean) / deviation unless null. Returns
/// 1 / deviation.
template <class T>
T normalize(const ShapeView<T> &shape, const NormView<T> &norm, T *x, T *normalized) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const T inverse_n = T(1) / T(shape.n_features);
  V sum(0), squares(0);
  for (int k = 0; k < shape.features; k += W) sum += V::load(x + k);
  const V mean(sum_across(sum) * inverse_n);
  for (int k = 0; k < shape.features; k += W) {
    const V centered = (V::load(x + k) - mean) * V::load(shape.is_feature + k);
    squares += centered * centered;
    centered.store(x + k);
  }
  const V variance(sum_across(squares) * inverse_n + T(layer_norm_epsilon));
  const V inverse = inverse_sqrt(variance);
  for (int k = 0; k < shape.features; k += W) {
    const V value = V::load(x + k) * inverse;
    if (normalized) value.store(normalized + k);
    (value * V::load(norm.scale + k) + V::load(norm.shift + k)).store(x + k);
  }
  return inverse.v[0];
}

/// dE/dx from dE/dy, in place.
template <class T>
void normalize_back(const ShapeView<T> &shape, const NormView<T> &norm, const T *normalized, T inverse, T *adjoint) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const T inverse_n = T(1) / T(shape.n_features);
  V sum(0), product(0);
  for (int k = 0; k < shape.features; k += W) {
    const V g = V::load(adjoint + k) * V::load(norm.scale + k);
    g.store(adjoint + k);
    sum += g;
    product += g * V::load(normalized + k);
  }
  const V mean(sum_across(sum) * inverse_n), along(sum_across(product) * inverse_n);
  for (int k = 0; k < shape.features; k += W) {
    const V g = V::load(adjoint + k) - mean - along * V::load(normalized + k);
    (V(inverse) * g * V::load(shape.is_feature + k)).store(adjoint + k);
  }
}

/// What the backward pass needs of one normalization and one perceptron.
template <class T>
struct Kept {
  T *normalized;                 // (block_rows, features)
  T inverse[block_rows];         // of the deviations
  T *input, *hidden;             // of the perceptron before activations
};

template <class T>
void residual(const ShapeView<T> &shape, const ResidualView<T> &perceptron, std::int64_t n, T *x, const Kept<T> &kept,
              T *scratch) {
  using V = Pack<T>;
  const std::int64_t size = n * shape.features;
  copy_row(x, size, kept.input);
  copy_row(x, size, scratch);
  apply_silu(scratch, size);
  multiply(perceptron.inner.forward, n, scratch, shape.features, kept.hidden, shape.features);
  copy_row(kept.hidden, size, scratch);
  apply_silu(scratch, size);
  T *const added = scratch + size;
  multiply(perceptron.outer.forward, n, scratch, shape.features, added, shape.features);
  for (std::int64_t k = 0; k < size; k += V::width) (V::load(x + k) + V::load(added + k)).store(x + k);
}

template <class T>
void residual_back(const ShapeView<T> &shape, const ResidualView<T> &perceptron, std::int64_t n, const Kept<T> &kept,
                   T *adjoint, T *scratch) {
  using V = Pack<T>;
  const std::int64_t size = n * shape.features;
  multiply(perceptron.outer.backward, n, adjoint, shape.features, scratch, shape.features);
  apply_silu_slope(kept.hidden, size, scratch);
  T *const added = scratch + size;
  multiply(perceptron.inner.backward, n, scratch, shape.features, added, shape.features);
  apply_silu_slope(kept.input, size, added);
  for (std::int64_t k = 0; k < size; k += V::width) (V::load(adjoint + k) + V::load(added + k)).store(adjoint + k);
}

/// A block of atoms on its way through a layer.
template <class T>
struct Block {
  const So3kratesLayerView<T> &layer;
  const NodeView<T> &node;
  Kept<T> kept[2];
  T *x;      // (block_rows, features)
  T *scale;  // (block_rows, components) what vectors are multiplied by, less 1
  T *joined, *mixed, *scratch;

  Block(const So3kratesLayerView<T> &layer_, const NodeView<T> &node_, T *memory) : layer(layer_), node(node_) {
    const int features = shape().features;
    Scratch<T> pieces(memory);
    for (Kept<T> &each : kept) {
      each.normalized = pieces.take(block_rows * features);
      each.input = pieces.take(block_rows * features);
      each.hidden = pieces.take(block_rows * features);
    }
    x = pieces.take(block_rows * features);
    scale = pieces.take(block_rows * shape().components);
    joined = pieces.take(block_rows * width());
    mixed = pieces.take(block_rows * width());
    scratch = pieces.take(block_rows * (2 * features + 3 * shape().components));
  }

  const ShapeView<T> &shape() const { return *layer.shape; }
  int width() const { return layer.exchange.forward.padded; }

  void normalize_all(const NormView<T> &norm, Kept<T> &of) {
    for (std::int64_t r = 0; norm.scale && r < node.n; ++r) {
      const std::int64_t row = r * shape().features;
      of.inverse[r] = normalize(shape(), norm, x + row, of.normalized + row);
    }
  }

  /// [d, b] = W [x, s(v)]: x += d, and b spread over the components.
  void exchange() {
    const int n_features = shape().n_features, components = shape().components, padded = shape().sums.forward.padded;
    T *const squares = scratch, *const invariants = scratch + block_rows * components;
    for (std::int64_t k = 0; k < node.n * components; ++k) squares[k] = node.v[k] * node.v[k];
    multiply(shape().invariants.forward, node.n, squares, components, invariants, padded);
    for (std::int64_t r = 0; r < node.n; ++r) {
      copy_row(x + r * shape().features, n_features, joined + r * width());
      copy_row(invariants + r * padded, shape().n_degrees, joined + r * width() + n_features);
    }
    multiply(layer.exchange.forward, node.n, joined, width(), mixed, width());
    for (std::int64_t r = 0; r < node.n; ++r) {
      for (int k = 0; k < n_features; ++k) x[r * shape().features + k] += mixed[r * width() + k];
    }
    multiply(shape().sums.backward, node.n, mixed + n_features, width(), scale, components);
  }

  void forward() {
    copy_row(node.x, node.n * shape().features, x);
    normalize_all(layer.norm_1, kept[0]);
    if (layer.residual_1.is_on) residual(shape(), layer.residual_1, node.n, x, kept[0], scratch);
    exchange();
    if (layer.residual_2.is_on) residual(shape(), layer.residual_2, node.n, x, kept[1], scratch);
    normalize_all(layer.norm_2, kept[1]);
  }

  void normalize_all_back(const NormView<T> &norm, const Kept<T> &of) {
    for (std::int64_t r = 0; norm.scale && r < node.n; ++r) {
      const std::int64_t row = r * shape().features;
      normalize_back(shape(), norm, of.normalized + row, of.inverse[r], node.x_adjoint + row);
    }
  }

  void exchange_back() {
    const int n_features = shape().n_features, components = shape().components, padded = shape().sums.forward.padded;
    T *const products = scratch, *const sums = scratch + block_rows * components;
    for (std::int64_t k = 0; k < node.n * components; ++k) products[k] = node.v[k] * node.v_adjoint[k];
    multiply(shape().sums.forward, node.n, products, components, sums, padded);
    for (std::int64_t r = 0; r < node.n; ++r) {
      copy_row(node.x_adjoint + r * shape().features, n_features, mixed + r * width());
      copy_row(sums + r * padded, shape().n_degrees, mixed + r * width() + n_features);
    }
    multiply(layer.exchange.backward, node.n, mixed, width(), joined, width());
    for (std::int64_t r = 0; r < node.n; ++r) {
      for (int k = 0; k < n_features; ++k) node.x_adjoint[r * shape().features + k] += joined[r * width() + k];
    }
    multiply(shape().invariants.backward, node.n, joined + n_features, width(), products, components);
    for (std::int64_t k = 0; k < node.n * components; ++k) {
      node.v_adjoint[k] += scale[k] * node.v_adjoint[k] + T(2) * products[k] * node.v[k];
    }
  }

  void backward() {
    normalize_all_back(layer.norm_2, kept[1]);
    if (layer.residual_2.is_on) residual_back(shape(), layer.residual_2, node.n, kept[1], node.x_adjoint, scratch);
    exchange_back();
    if (layer.residual_1.is_on) residual_back(shape(), layer.residual_1, node.n, kept[0], node.x_adjoint, scratch);
    normalize_all_back(layer.norm_1, kept[0]);
  }
};

/// At most block_rows of a longer view.
template <class T>
NodeView<T> part_of(const NodeView<T> &all, const ShapeView<T> &shape, std::int64_t row) {
  const std::int64_t x = row * shape.features, v = row * shape.components;
  return {all.n - row < block_rows ? all.n - row : block_rows,
          all.x + x,
          all.v + v,
          all.x_out ? all.x_out + x : nullptr,
          all.v_out ? all.v_out + v : nullptr,
          all.x_adjoint ? all.x_adjoint + x : nullptr,
          all.v_adjoint ? all.v_adjoint + v : nullptr};
}

template <class T>
void transform(const So3kratesLayerView<T> &layer, const NodeView<T> &all, T *scratch) {
  const ShapeView<T> &shape = *layer.shape;
  for (std::int64_t row = 0; row < all.n; row += block_rows) {
    const NodeView<T> node = part_of(all, shape, row);
    Block<T> block(layer, node, scratch);
    block.forward();
    copy_row(block.x, node.n * shape.features, node.x_out);
    for (std::int64_t k = 0; k < node.n * shape.components; ++k) {
      node.v_out[k] = node.v[k] + block.scale[k] * node.v[k];
    }
  }
}

template <class T>
void transform_back(const So3kratesLayerView<T> &layer, const NodeView<T> &all, T *scratch) {
  for (std::int64_t row = 0; row < all.n; row += block_rows) {
    const NodeView<T> node = part_of(all, *layer.shape, row);
    Block<T> block(layer, node, scratch);
    block.forward();
    block.backward();
  }
}

template <class T>
void read_out(const ShapeView<T> &shape, const HeadView<T> &head, std::int64_t n, const T *x, const T *weights,
              double *energies, T *x_adjoint, T *scratch) {
  using V = Pack<T>;
  const int n_hidden = head.inner.forward.padded;
  for (std::int64_t row = 0; row < n; row += block_rows) {
    const std::int64_t n_rows = n - row < block_rows ? n - row : block_rows;
    multiply(head.inner.forward, n_rows, x + row * shape.features, shape.features, scratch, n_hidden);
    for (std::int64_t r = 0; r < n_rows; ++r) {
      V sum(0);
      const V weight(weights[row + r]);
      T *const hidden = scratch + r * n_hidden;
      for (int k = 0; k < n_hidden; k += V::width) {
        const V input = V::load(hidden + k), outer = V::load(head.outer + k);
        const bool is_silu = head.activation == math::Activation::silu;
        const ValueAndSlope<T> result = is_silu ? silu(input) : ValueAndSlope<T>{input, V(1)};
        sum += outer * result.value;
        (weight * outer * result.slope).store(hidden + k);
      }
      energies[row + r] = double(sum_across(sum));
    }
    multiply(head.inner.backward, n_rows, scratch, n_hidden, x_adjoint + row * shape.features, shape.features);
  }
}

}  // namespace panna_plus::PANNA_ISA
