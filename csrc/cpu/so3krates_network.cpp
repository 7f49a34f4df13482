#include "cpu/so3krates_network.h"

#include <algorithm>
#include <cstddef>

#include "system/threads.h"

namespace panna_plus {
namespace {

std::size_t index(std::ptrdiff_t n) { return static_cast<std::size_t>(n); }

/// Rows first ... last - 1 of attention arrays.
template <class T>
AttentionArrays<T> from_row(const AttentionArrays<T> &all, const So3kratesLayerView<T> &layer, std::int64_t row) {
  const std::ptrdiff_t heads = row * layer.features.chunks.width(), degrees = row * layer.vectors.chunks.width();
  return {all.query_1 + heads, all.key_1 + heads, all.value + heads, all.query_2 + degrees, all.key_2 + degrees};
}

template <class T>
void zero_rows(const AttentionArrays<T> &all, const So3kratesLayerView<T> &layer, std::int64_t begin,
               std::int64_t end) {
  const AttentionArrays<T> first = from_row(all, layer, begin);
  const std::ptrdiff_t heads = (end - begin) * layer.features.chunks.width();
  const std::ptrdiff_t degrees = (end - begin) * layer.vectors.chunks.width();
  for (T *each : {first.query_1, first.key_1, first.value}) std::fill_n(each, heads, T(0));
  for (T *each : {first.query_2, first.key_2}) std::fill_n(each, degrees, T(0));
}

/// From features to chunks at whole packs, and back: y (+)= x.
template <class T>
void spread(const ChunkView &chunks, const T *x, T *y) {
  for (int c = 0; c < chunks.n; ++c) std::copy_n(x + c * chunks.size, chunks.size, y + c * chunks.padded);
}
template <class T>
void add_gathered(const ChunkView &chunks, const T *x, T *y) {
  for (int c = 0; c < chunks.n; ++c) {
    for (int k = 0; k < chunks.size; ++k) y[c * chunks.size + k] += x[c * chunks.padded + k];
  }
}

}  // namespace

template <class T>
AttentionArrays<T> AttentionMemory<T>::sized(std::int64_t n_rows, const So3kratesLayerView<T> &layer) {
  const std::size_t heads = index(n_rows * layer.features.chunks.width());
  const std::size_t degrees = index(n_rows * layer.vectors.chunks.width());
  return {arrays[0].sized(heads), arrays[1].sized(heads), arrays[2].sized(heads), arrays[3].sized(degrees),
          arrays[4].sized(degrees)};
}

template <class T>
So3kratesNetwork<T>::So3kratesNetwork(const So3kratesModel<T> &model, const So3kratesKernels<T> &kernels,
                                      So3kratesRows<T> &rows, const Neighborhood &atoms, NetworkMemory<T> &memory)
    : model_(model), kernels_(kernels), rows_(rows), atoms_(atoms), memory_(memory) {
  memory_.x.resize(index(n_layers() + 1));
  memory_.v.resize(index(n_layers() + 1));
  memory_.x_middle.resize(index(n_layers()));
  memory_.v_middle.resize(index(n_layers()));
  memory_.scratch.resize(std::max(memory_.scratch.size(), index(rows.n_threads())));
  for (int rank = 0; rank < rows.n_threads(); ++rank) {
    memory_.scratch[index(rank)].sized(kernels.scratch_size(layer(1), model.head()));
    pairs_.push_back(rows.pairs(rank).view());
  }
}

/// Calls body(begin, end, scratch) for parts of n rows, one part per thread.
template <class T>
void So3kratesNetwork<T>::in_parts(std::int64_t n,
                                   const std::function<void(std::int64_t, std::int64_t, T *)> &body) {
  const int n_threads = rows_.n_threads();
  run_in_threads(n_threads, [&](int rank) {
    body(n * rank / n_threads, n * (rank + 1) / n_threads, memory_.scratch[index(rank)].data());
  });
}

/// Rows of images become those of their atoms: features and vectors together.
template <class T>
void So3kratesNetwork<T>::exchange(T *x, T *v) {
  const std::ptrdiff_t n_features = model_.shape().n_features, n_components = model_.shape().n_components;
  const std::ptrdiff_t width = n_features + n_components, n_own = rows_.n_centers();
  std::vector<double> &values = memory_.exchanged;
  values.resize(index(atoms_.n_atoms * width));
  for (std::int64_t row = 0; row < n_own; ++row) {
    double *mine = values.data() + rows_.atoms()[index(row)] * width;
    std::copy_n(x + row * features(), n_features, mine);
    std::copy_n(v + row * components(), n_components, mine + n_features);
  }
  atoms_.exchange->to_images(values.data(), static_cast<int>(width));
  for (std::int64_t row = n_own; row < rows_.n_rows(); ++row) {
    const double *image = values.data() + rows_.atoms()[index(row)] * width;
    for (std::ptrdiff_t k = 0; k < n_features; ++k) x[row * features() + k] = T(image[k]);
    for (std::ptrdiff_t k = 0; k < n_components; ++k) v[row * components() + k] = T(image[n_features + k]);
  }
}

/// In the first layer, of elements.
template <class T>
void So3kratesNetwork<T>::project(int t) {
  const AttentionArrays<T> all = memory_.projected.sized(rows_.n_rows() + model_.n_elements(), layer(t));
  const std::int64_t n = t == 1 ? model_.n_elements() : rows_.n_inputs(t);
  in_parts(n, [&](std::int64_t begin, std::int64_t end, T *) {
    kernels_.project(layer(t), end - begin, x(t) + begin * features(), from_row(all, layer(t), begin));
  });
  if (t > 1) zero_rows(all, layer(t), n, rows_.n_rows());
}

template <class T>
AttentionView<T> So3kratesNetwork<T>::attention_view(int t) {
  AttentionView<T> view;
  view.source = t == 1 ? rows_.species().data() : nullptr;
  view.projected = memory_.projected.sized(rows_.n_rows() + model_.n_elements(), layer(t));
  view.v = v(t);
  view.messages = memory_.messages.data();
  view.vector_messages = memory_.v_middle[index(t - 1)].data();
  view.messages_adjoint = memory_.messages.data();
  view.vectors_adjoint = memory_.v_adjoint.data();
  view.v_adjoint = memory_.v_attention_adjoint.data();
  view.levels = rows_.levels();
  view.level = t;
  return view;
}

template <class T>
void So3kratesNetwork<T>::attend(int t) {
  const std::int64_t n_rows = rows_.n_rows();
  memory_.messages.sized(index(n_rows * messages_width()));
  T *const middle = memory_.v_middle[index(t - 1)].sized(index(n_rows * components()));
  in_parts(n_rows, [&](std::int64_t begin, std::int64_t end, T *) {
    std::fill_n(memory_.messages.data() + begin * messages_width(), (end - begin) * messages_width(), T(0));
    std::copy(v(t) + begin * components(), v(t) + end * components(), middle + begin * components());
  });
  const AttentionView<T> view = attention_view(t);
  run_in_threads(rows_.n_threads(), [&](int rank) {
    const std::int64_t n_pairs = rows_.pairs(rank).count_below(rows_.n_wanted(t));
    kernels_.attend(layer(t), pairs_[index(rank)], n_pairs, view, memory_.scratch[index(rank)].data());
  });
}

/// The rest of the layer, atom by atom.
template <class T>
void So3kratesNetwork<T>::transform(int t) {
  const std::int64_t n_wanted = rows_.n_wanted(t), n_rows = rows_.n_rows();
  T *const x_middle = memory_.x_middle[index(t - 1)].sized(index(n_wanted * features()));
  T *const v_middle = memory_.v_middle[index(t - 1)].data();
  T *const x_out = memory_.x[index(t)].sized(index(n_rows * features()));
  T *const v_out = memory_.v[index(t)].sized(index(n_rows * components()));
  in_parts(n_wanted, [&](std::int64_t begin, std::int64_t end, T *scratch) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t source = t == 1 ? rows_.species()[index(row)] : row;
      std::copy_n(x(t) + source * features(), features(), x_middle + row * features());
      add_gathered(layer(t).features.chunks, memory_.messages.data() + row * messages_width(),
                   x_middle + row * features());
    }
    NodeView<T> node;
    node.n = end - begin;
    node.x = x_middle + begin * features();
    node.v = v_middle + begin * components();
    node.x_out = x_out + begin * features();
    node.v_out = v_out + begin * components();
    kernels_.transform(layer(t), node, scratch);
  });
  // Rows that no pair of this evaluation needs are multiplied by zero later on, and must be finite.
  std::fill(x_out + n_wanted * features(), x_out + n_rows * features(), T(0));
  std::fill(v_out + n_wanted * components(), v_out + n_rows * components(), T(0));
}

template <class T>
const T *So3kratesNetwork<T>::forward(const T *element_features) {
  const std::size_t n_elements = index(model_.n_elements() * features());
  std::copy_n(element_features, n_elements, memory_.x.front().sized(n_elements));
  memory_.v.front().zeroed(index(rows_.n_rows() * components()));
  for (int t = 1; t <= n_layers(); ++t) {
    if (t > 1 && rows_.has_images()) exchange(x(t), v(t));
    project(t);
    attend(t);
    transform(t);
  }
  return memory_.x.back().data();
}

template <class T>
T *So3kratesNetwork<T>::adjoint() {
  memory_.v_adjoint.zeroed(index(rows_.n_rows() * components()));
  return memory_.x_adjoint.zeroed(index(rows_.n_rows() * features()));
}

/// Derivatives with respect to what the layer gives become those with respect to messages, of images as well.
template <class T>
void So3kratesNetwork<T>::spread_adjoints(int t) {
  T *const x_adjoint = memory_.x_adjoint.data(), *const v_adjoint = memory_.v_adjoint.data();
  const std::int64_t n_wanted = rows_.n_wanted(t), n_rows = rows_.n_rows();
  in_parts(n_wanted, [&](std::int64_t begin, std::int64_t end, T *scratch) {
    NodeView<T> node;
    node.n = end - begin;
    node.x = memory_.x_middle[index(t - 1)].data() + begin * features();
    node.v = memory_.v_middle[index(t - 1)].data() + begin * components();
    node.x_adjoint = x_adjoint + begin * features();
    node.v_adjoint = v_adjoint + begin * components();
    kernels_.transform_back(layer(t), node, scratch);
  });
  std::fill(x_adjoint + n_wanted * features(), x_adjoint + n_rows * features(), T(0));
  std::fill(v_adjoint + n_wanted * components(), v_adjoint + n_rows * components(), T(0));
  if (t > 1 && rows_.has_images()) exchange(x_adjoint, v_adjoint);
  T *const messages = memory_.messages.zeroed(index(n_rows * messages_width()));
  in_parts(n_rows, [&](std::int64_t begin, std::int64_t end, T *) {
    for (std::int64_t row = begin; row < end; ++row) {
      spread(layer(t).features.chunks, x_adjoint + row * features(), messages + row * messages_width());
    }
  });
}

template <class T>
void So3kratesNetwork<T>::attend_back(int t) {
  const std::int64_t n_rows = rows_.n_rows(), n_receiving = rows_.n_wanted(t == 1 ? 1 : t - 1);
  AttentionView<T> view = attention_view(t);
  if (t > 1) {
    view.adjoint = memory_.adjoint.sized(n_rows, layer(t));
    view.v_adjoint = memory_.v_attention_adjoint.zeroed(index(n_rows * components()));
    zero_rows(view.adjoint, layer(t), 0, n_rows);
  }
  run_in_threads(rows_.n_threads(), [&](int rank) {
    const std::int64_t n_pairs = rows_.pairs(rank).count_below(n_receiving);
    kernels_.attend_back(layer(t), pairs_[index(rank)], n_pairs, view, memory_.scratch[index(rank)].data());
  });
}

/// Adds to the derivatives with respect to the layer's inputs what comes through queries, keys, values and filters.
template <class T>
void So3kratesNetwork<T>::back_to_inputs(int t) {
  const AttentionArrays<T> adjoint = memory_.adjoint.sized(rows_.n_rows(), layer(t));
  T *const x_adjoint = memory_.x_adjoint.data(), *const v_adjoint = memory_.v_adjoint.data();
  const T *const added = memory_.v_attention_adjoint.data();
  in_parts(rows_.n_wanted(t - 1), [&](std::int64_t begin, std::int64_t end, T *scratch) {
    kernels_.project_back(layer(t), end - begin, x(t) + begin * features(), from_row(adjoint, layer(t), begin),
                          x_adjoint + begin * features(), scratch);
    for (std::ptrdiff_t k = begin * components(); k < end * components(); ++k) v_adjoint[k] += added[k];
  });
}

template <class T>
void So3kratesNetwork<T>::backward() {
  for (int t = n_layers(); t > 0; --t) {
    spread_adjoints(t);
    if (t < n_layers()) project(t);
    attend_back(t);
    if (t > 1) back_to_inputs(t);
  }
}

template struct AttentionMemory<float>;
template struct AttentionMemory<double>;
template class So3kratesNetwork<float>;
template class So3kratesNetwork<double>;

}  // namespace panna_plus
