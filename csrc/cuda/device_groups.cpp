#include "cuda/device_groups.h"

namespace panna_plus::cuda {

void DeviceGroups::set(const std::vector<std::int64_t> &n_centers_of, cudaStream_t stream) {
  const std::size_t n_elements = n_centers_of.size();
  n_elements_ = static_cast<int>(n_elements);
  std::vector<std::int64_t> starts(2 * n_elements + 2, 0);
  std::int64_t *const center = starts.data(), *const group = center + n_elements + 1;
  for (std::size_t s = 0; s < n_elements; ++s) {
    center[s + 1] = center[s] + n_centers_of[s];
    group[s + 1] = group[s] + (n_centers_of[s] + network_centers - 1) / network_centers;
  }
  n_groups_ = starts.back();
  upload(starts_.reserve(starts.size()), starts.data(), starts.size(), stream);
  // `starts` is gone when this returns.
  require_success(cudaStreamSynchronize(stream), "a copy to the device");
}

CenterGroups DeviceGroups::view() const {
  return {n_elements_, starts_.data(), starts_.data() + n_elements_ + 1, n_groups_};
}

}  // namespace panna_plus::cuda
