// The layers of a so3krates model, forward and back, on the rows of one evaluation.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "cpu/aligned_array.h"
#include "cpu/so3krates_kernels.h"
#include "cpu/so3krates_model.h"
#include "cpu/so3krates_rows.h"
#include "system/neighborhood.h"

namespace panna_plus {

/// Queries, keys and values of all rows, or their derivatives.
template <class T>
struct AttentionMemory {
  AlignedArray<T> arrays[5];

  AttentionArrays<T> sized(std::int64_t n_rows, const So3kratesLayerView<T> &layer);
};

/// Memory of the layers of one evaluation.
template <class T>
struct NetworkMemory {
  std::deque<AlignedArray<T>> x, v;                // before each layer and after the last one
  std::deque<AlignedArray<T>> x_middle, v_middle;  // between attention and the rest of each layer
  AlignedArray<T> messages, x_adjoint, v_adjoint, v_attention_adjoint;
  AttentionMemory<T> projected, adjoint;
  std::vector<AlignedArray<T>> scratch;  // of each thread
  std::vector<double> exchanged;
};

template <class T>
class So3kratesNetwork {
 public:
  /// All arguments are kept as views; features of elements (S, features) are those of rows before the first layer.
  So3kratesNetwork(const So3kratesModel<T> &model, const So3kratesKernels<T> &kernels, So3kratesRows<T> &rows,
                   const Neighborhood &atoms, NetworkMemory<T> &memory);

  /// Features after the last layer (n_wanted, features).
  const T *forward(const T *element_features);
  /// Room for the derivatives of the energy with respect to them, zeros.
  T *adjoint();
  /// Gives the pairs their gradients.
  void backward();

 private:
  using Layer = So3kratesLayerView<T>;

  std::ptrdiff_t features() const { return model_.shape().features; }
  std::ptrdiff_t components() const { return model_.shape().components; }
  std::ptrdiff_t messages_width() const { return model_.layers().front().features.chunks.width(); }
  int n_layers() const { return static_cast<int>(model_.layers().size()); }
  const Layer &layer(int t) const { return model_.layers()[static_cast<std::size_t>(t - 1)]; }
  T *x(int t) { return memory_.x[static_cast<std::size_t>(t - 1)].data(); }
  T *v(int t) { return memory_.v[static_cast<std::size_t>(t - 1)].data(); }

  void in_parts(std::int64_t n, const std::function<void(std::int64_t, std::int64_t, T *)> &body);
  void exchange(T *x, T *v);
  void project(int t);
  AttentionView<T> attention_view(int t);
  void attend(int t);
  void transform(int t);
  void spread_adjoints(int t);
  void attend_back(int t);
  void back_to_inputs(int t);

  const So3kratesModel<T> &model_;
  const So3kratesKernels<T> &kernels_;
  So3kratesRows<T> &rows_;
  const Neighborhood &atoms_;
  NetworkMemory<T> &memory_;
  std::vector<PairsView<T>> pairs_;
};

extern template class So3kratesNetwork<float>;
extern template class So3kratesNetwork<double>;

}  // namespace panna_plus
