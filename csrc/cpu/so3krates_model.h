// Weights of a so3krates model in the form that the kernels take.
#pragma once

#include <deque>
#include <vector>

#include "cpu/aligned_array.h"
#include "cpu/so3krates_kernels.h"
#include "potential/so3krates_parameters.h"

namespace panna_plus {

template <class T>
class So3kratesModel {
 public:
  /// For kernels whose packs hold `lanes` numbers. In float the tables get as many knots as float can tell apart.
  So3kratesModel(const So3kratesParameters &parameters, int lanes);
  So3kratesModel(const So3kratesModel &) = delete;
  So3kratesModel &operator=(const So3kratesModel &) = delete;

  const ShapeView<T> &shape() const { return shape_; }
  const std::vector<So3kratesLayerView<T>> &layers() const { return layers_; }
  const HeadView<T> &head() const { return head_; }
  int n_elements() const { return n_elements_; }
  double spacing() const { return spacing_; }
  int n_knots() const { return n_knots_; }
  std::size_t memory_usage() const { return bytes_; }

 private:
  int padded(int n) const { return (n + lanes_ - 1) / lanes_ * lanes_; }
  T *keep(const std::vector<double> &values);
  MatrixView<T> matrix(const LinearMap &map, bool is_transposed);
  LinearView<T> linear(const LinearMap &map);
  ProjectionView<T> projection(const std::vector<double> &weights, const ChunkView &chunks);
  NormView<T> norm(const std::optional<LayerNorm> &norm);
  ResidualView<T> residual(const std::optional<ResidualPerceptron> &perceptron);
  void set_shape(const So3kratesParameters &model);
  CoefficientsView<T> coefficients(const So3kratesCoefficients &part, int n_chunks);
  LinearView<T> spherical_inner(const So3kratesLayer &layer);
  T *table(const RadialTables &tables, std::size_t row, const So3kratesCoefficients &part, const ChunkView &chunks,
           bool is_first);
  void add_layer(const So3kratesParameters &model, const RadialTables &tables);

  int lanes_;
  ShapeView<T> shape_;
  std::vector<int> degrees_;
  std::vector<So3kratesLayerView<T>> layers_;
  HeadView<T> head_;
  double spacing_ = 0.0;
  int n_elements_, n_knots_ = 0;
  std::deque<AlignedArray<T>> numbers_;
  std::deque<std::vector<LinearView<T>>> chunks_;
  std::size_t bytes_ = 0;
};

extern template class So3kratesModel<float>;
extern template class So3kratesModel<double>;

}  // namespace panna_plus
