// The numbers of a panna model in the layout and precision of the kernels.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "cpu/compiled_kernels.h"
#include "cpu/panna_kernels.h"
#include "math/angular_window.h"
#include "potential/panna_parameters.h"

namespace panna_plus {

/// The kernels of an instruction set, see compiled_for.
CompiledKernels<PannaKernels> compiled_panna_kernels(const std::string &name);

template <class T>
struct PannaExtrapolation {
  const T *mean, *inverse_deviation;
  QuadraticFormView<T> form;
};

template <class T>
class PannaModel {
 public:
  PannaModel(const PannaParameters &parameters, const PannaKernels<T> &kernels);
  PannaModel(const PannaModel &) = delete;
  PannaModel &operator=(const PannaModel &) = delete;

  const DescriptorView<T> &descriptor() const { return descriptor_; }
  int n_members() const { return n_members_; }
  const NetworkView<T> &network(int member, int species) const { return networks_[place(member, species)]; }
  const T *feature_mean(int member, int species) const { return means_[place(member, species)]; }
  const T *inverse_scale(int member, int species) const { return inverse_scales_[place(member, species)]; }
  /// The squared extrapolation of x = (G - mean) * inverse_deviation; null where the file does not know.
  const PannaExtrapolation<T> *extrapolation(int species) const {
    return extrapolations_.empty() ? nullptr : &extrapolations_[static_cast<std::size_t>(species)];
  }
  std::size_t memory_usage() const { return bytes_; }

 private:
  const T *keep(const std::vector<double> &values);
  const int *keep(const std::vector<int> &values);
  ShellView<T> gaussians(const std::vector<double> &eta, const std::vector<double> &centers, double largest_x);
  void set_mbp(const PannaAngular &angular);
  void set_bp(const PannaAngular &angular);
  void set_windows(const std::vector<math::AngularWindow> &list);
  void add_network(const PannaNetwork &network, int row_tile);
  void add_extrapolation(const PannaStatistics &statistics, int row_tile);
  std::size_t place(int member, int species) const {
    return static_cast<std::size_t>(member) * static_cast<std::size_t>(descriptor_.n_species) +
           static_cast<std::size_t>(species);
  }
  LayerView<T> layer(const DenseLayer &layer, int row_tile);

  std::deque<std::vector<T>> numbers_;  // a deque: what the views point to never moves
  std::deque<std::vector<int>> integers_;
  std::deque<std::vector<LayerView<T>>> layers_;
  DescriptorView<T> descriptor_;
  int n_members_;
  std::vector<NetworkView<T>> networks_;  // (n_members, S), as the next two
  std::vector<const T *> means_, inverse_scales_;
  std::vector<PannaExtrapolation<T>> extrapolations_;  // (S) or none
  std::size_t bytes_ = 0;
};

extern template class PannaModel<float>;
extern template class PannaModel<double>;

}  // namespace panna_plus
