// What the compiled kernels of so3krates take: packed weights and views of arrays. Here and in the sources of the
// kernels: N rows of atoms, F features, H heads, L degrees, M components of all degrees.
#pragma once

#include <cstddef>
#include <cstdint>

#include "math/activation.h"

namespace panna_plus {

/// y = W x (+ bias). Columns of W^T in panels of two packs, the last one perhaps of one: panel by panel, input by
/// input; columns beyond n_out are zero.
template <class T>
struct MatrixView {
  int n_in = 0, n_out = 0;
  int padded = 0;  // n_out rounded up to whole packs
  const T *panels = nullptr;
  const T *bias = nullptr;  // (padded) or null
};

/// A linear map and its transpose.
template <class T>
struct LinearView {
  MatrixView<T> forward, backward;
};

/// One square matrix for each chunk of the features: a head or a degree.
template <class T>
struct ProjectionView {
  const LinearView<T> *chunks = nullptr;
};

/// How features are cut into chunks that begin at whole packs.
struct ChunkView {
  int n = 0, size = 0, padded = 0;
  int width() const { return n * padded; }
};

/// Filter, queries and keys of one of the two attentions of a layer.
template <class T>
struct CoefficientsView {
  ChunkView chunks;
  LinearView<T> spherical_outer;  // without bias
  ProjectionView<T> query, key;
  // (n_intervals + 1, 3, width): value, slope times spacing, curvature times spacing squared; what the spherical part
  // adds everywhere is in the values
  const T *table = nullptr;
  T inverse_norm = T(1);
};

template <class T>
struct NormView {
  const T *scale = nullptr, *shift = nullptr;  // (F, padded with zeros); null: no normalization
};

template <class T>
struct ResidualView {
  bool is_on = false;
  LinearView<T> inner, outer;
};

/// What all layers share.
template <class T>
struct ShapeView {
  int n_features = 0, n_degrees = 0, n_components = 0;
  int features = 0, components = 0;  // the same, rounded up to whole packs
  int narrow = 0;                    // hidden units of one spherical filter, rounded up
  const int *degrees = nullptr;      // (L)
  const T *is_feature = nullptr;     // (features) 1, 0 in padding
  const T *parity = nullptr;         // (components) 1 or -1: what inversion does to a component
  LinearView<T> invariants;          // from squares of components to one number per degree
  LinearView<T> sums;                // from components to their sums per degree; backward spreads degrees
  bool has_activation = false;       // of queries and keys: silu
  T inverse_spacing = T(0);          // of the knots, 1/angstrom
};

template <class T>
struct So3kratesLayerView {
  const ShapeView<T> *shape = nullptr;
  bool is_first = false;  // vectors are zero, features depend on the element alone
  CoefficientsView<T> features, vectors;
  ProjectionView<T> value;
  // From invariants to the hidden units of both filters, those of the second from `narrow` on.
  LinearView<T> spherical_inner;
  NormView<T> norm_1, norm_2;
  ResidualView<T> residual_1, residual_2;
  LinearView<T> exchange;
};

/// Pairs of rows closer than the cutoff. A pair of two rows of the same thread is listed once, unless the gradients of
/// both its directions are wanted.
template <class T>
struct PairsView {
  std::int64_t n = 0;
  const std::int32_t *first = nullptr, *second = nullptr;
  const std::uint8_t *is_shared = nullptr;  // whether both rows receive; else the first one alone
  const T *x = nullptr, *y = nullptr, *z = nullptr;  // unit vectors from the first to the second
  const T *inverse_distance = nullptr;
  const T *envelope = nullptr, *envelope_slope = nullptr;
  const std::int32_t *knot = nullptr;  // of the tables, below the distance
  const T *fraction = nullptr;         // of the way to the next one
  double *gradients = nullptr;  // (n, 3) dE/dr through what the rows of the pair receive, added to
};

/// Queries, keys and values, or their derivatives: rows of `width` of their chunks.
template <class T>
struct AttentionArrays {
  T *query_1 = nullptr, *key_1 = nullptr, *value = nullptr, *query_2 = nullptr, *key_2 = nullptr;
};

/// What the attention of one layer reads and writes.
template <class T>
struct AttentionView {
  const std::int32_t *source = nullptr;  // row of the projections of each row; null: the same
  AttentionArrays<T> projected;
  const T *v = nullptr;         // (N, components) before the layer; not read in the first
  T *messages = nullptr;        // (N, width of heads) added to
  T *vector_messages = nullptr;  // (N, components) added to
  // Backward.
  const T *messages_adjoint = nullptr, *vectors_adjoint = nullptr;
  AttentionArrays<T> adjoint;       // added to
  T *v_adjoint = nullptr;           // added to
  // (N) rows of at least `level` have a derivative after this layer; null: all
  const std::int32_t *levels = nullptr;
  std::int32_t level = 0;
};

/// What an atom's own part of a layer reads and writes; rows of the arrays of one block of atoms.
template <class T>
struct NodeView {
  std::int64_t n = 0;
  const T *x = nullptr, *v = nullptr;       // after the attention
  T *x_out = nullptr, *v_out = nullptr;     // after the layer
  T *x_adjoint = nullptr, *v_adjoint = nullptr;  // of x_out and v_out; becomes that of x and v
};

template <class T>
struct HeadView {
  LinearView<T> inner;
  const T *outer = nullptr;  // (padded hidden)
  math::Activation activation = math::Activation::linear;
};

template <class T>
struct So3kratesKernels {
  int lanes;
  /// Numbers of scratch memory that any of the functions needs.
  std::size_t (*scratch_size)(const So3kratesLayerView<T> &, const HeadView<T> &);
  /// Queries, keys and values of n rows of features.
  void (*project)(const So3kratesLayerView<T> &, std::int64_t n, const T *x, const AttentionArrays<T> &out);
  /// Adds to the derivatives of features what those of queries, keys and values (which are overwritten) mean to them.
  void (*project_back)(const So3kratesLayerView<T> &, std::int64_t n, const T *x, const AttentionArrays<T> &adjoint,
                       T *x_adjoint, T *scratch);
  /// Messages of pairs; all of them, or those whose first row is below n_rows.
  void (*attend)(const So3kratesLayerView<T> &, const PairsView<T> &, std::int64_t n_pairs, const AttentionView<T> &,
                 T *scratch);
  void (*attend_back)(const So3kratesLayerView<T> &, const PairsView<T> &, std::int64_t n_pairs,
                      const AttentionView<T> &, T *scratch);
  void (*transform)(const So3kratesLayerView<T> &, const NodeView<T> &, T *scratch);
  void (*transform_back)(const So3kratesLayerView<T> &, const NodeView<T> &, T *scratch);
  /// energies (n) = outer . act(inner x + bias); x_adjoint is set to their derivatives times weights (n).
  void (*read_out)(const ShapeView<T> &, const HeadView<T> &, std::int64_t n, const T *x, const T *weights,
                   double *energies, T *x_adjoint, T *scratch);
};

}  // namespace panna_plus
