// Centres sorted by element, as the kernels of perceptrons work on them.
#pragma once

#include <vector>

#include "cuda/device_memory.h"
#include "cuda/network_kernel.h"

namespace panna_plus::cuda {

/// How many centres of each element there are, in the form that kernels take.
class DeviceGroups {
 public:
  /// n_centers_of: (n_elements).
  void set(const std::vector<std::int64_t> &n_centers_of, cudaStream_t stream);

  CenterGroups view() const;

 private:
  int n_elements_ = 0;
  std::int64_t n_groups_ = 0;
  DeviceArray<std::int64_t> starts_;
};

}  // namespace panna_plus::cuda
