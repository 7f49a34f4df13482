// Radial functions: forward a warp per centre and a lane per function, backward a lane per neighbour.
#include "cuda/descriptor_kernels.h"
#include "cuda/warp.h"
#include "math/radial_basis.h"
#include "math/vector3.h"

namespace panna_plus::cuda {
namespace {

constexpr int block_threads = warps_per_block * warp_size;
constexpr int blocks_at_once = 4;

/// Sets the radial features of centre n: function f of a species sums term(shell f, slot) over the slots.
template <class T, class Term>
__device__ __forceinline__ void sum_radial(const SlotView<T> &slots, const DescriptorView<T> &d, std::int64_t n,
                                           T *features, Term term) {
  const int *bins = slots.bins + n * (2 * d.n_species + 1);
  const std::int64_t first = slots.start[n];
  T *block = features + n * d.n_features;
  for (int s = 0; s < d.n_species; ++s, block += d.n_radial) {
    for (int f = lane_index(); f < d.n_radial; f += warp_size) {
      const math::Shell<T> shell = d.radial[f];
      T sum(0);
      for (int k = bins[2 * s]; k < bins[2 * s + 2]; ++k) sum += term(shell, first + k);
      block[f] = sum;
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads, blocks_at_once)
    describe_kernel(SlotView<T> slots, DescriptorView<T> d, T *features) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  sum_radial(slots, d, n, features, [&](const math::Shell<T> &shell, std::int64_t slot) {
    return math::shell_function<true>(shell, slots.direction[slot].w).value * slots.radial_cut[slot].value;
  });
}

template <class T>
__global__ void __launch_bounds__(block_threads, blocks_at_once)
    tangent_kernel(SlotView<T> slots, DescriptorView<T> d, const T *tangents, T *features) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const std::int64_t first = slots.start[n];
  sum_radial(slots, d, n, features, [&](const math::Shell<T> &shell, std::int64_t slot) {
    const Four<T> u = slots.direction[slot];
    const Two<T> cut = slots.radial_cut[slot];
    const T *t = tangents + 3 * (first + slots.entry[slot]);
    const T rate = u.x * t[0] + u.y * t[1] + u.z * t[2];
    return math::cut_gaussian(math::shell_function<true>(shell, u.w), {cut.value, cut.slope}).slope * rate;
  });
}

/// Sum over the radial functions of g times their derivative.
template <class T>
__device__ __forceinline__ T radial_slope(const DescriptorView<T> &d, const T *g, T r, const Two<T> &cut) {
  math::ValueSlope<T> sum{T(0), T(0)};
  for (int f = 0; f < d.n_radial; ++f) {
    const math::ValueSlope<T> shell = math::shell_function<true>(d.radial[f], r);
    sum.value += g[f] * shell.value;
    sum.slope += g[f] * shell.slope;
  }
  return math::cut_gaussian<T>(sum, {cut.value, cut.slope}).slope;
}

/// Adds a pair to the sum of gradients and the virial.
template <class T>
__device__ __forceinline__ void add_pair(math::Vector3<T> displacement, math::Vector3<T> gradient, double *sums) {
  const double x = double(displacement.x), y = double(displacement.y), z = double(displacement.z);
  const double gx = double(gradient.x), gy = double(gradient.y), gz = double(gradient.z);
  const double terms[n_center_sums] = {gx,
                                       gy,
                                       gz,
                                       -x * gx,
                                       -y * gy,
                                       -z * gz,
                                       -0.5 * (x * gy + y * gx),
                                       -0.5 * (x * gz + z * gx),
                                       -0.5 * (y * gz + z * gy)};
  PANNA_UNROLL
  for (int k = 0; k < n_center_sums; ++k) sums[k] += terms[k];
}

template <class T>
__global__ void __launch_bounds__(block_threads, blocks_at_once)
    contract_kernel(SlotView<T> slots, DescriptorView<T> d, const T *g, const T *slot_gradients, T *gradients,
                    double *center_sums) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const int *bins = slots.bins + n * (2 * d.n_species + 1);
  const std::int64_t first = slots.start[n];
  const T *block = g + n * d.n_features;
  double sums[16] = {};
  int species = 0;
  for (int k = lane_index(); k < bins[2 * d.n_species]; k += warp_size) {
    while (k >= bins[2 * species + 2]) ++species;
    const Four<T> direction = slots.direction[first + k];
    const math::Vector3<T> u{direction.x, direction.y, direction.z};
    math::Vector3<T> gradient =
        radial_slope(d, block + species * d.n_radial, direction.w, slots.radial_cut[first + k]) * u;
    if (slot_gradients) {
      const T *angular = slot_gradients + 3 * (first + k);
      gradient = gradient + math::Vector3<T>{angular[0], angular[1], angular[2]};
    }
    T *out = gradients + 3 * (first + slots.entry[first + k]);
    out[0] = gradient.x;
    out[1] = gradient.y;
    out[2] = gradient.z;
    if (center_sums) add_pair(direction.w * u, gradient, sums);
  }
  if (!center_sums) return;
  __syncwarp();
  transposed_sums(sums);
  const int sum = first_summed<16>(lane_index());
  if (writes_summed<16>(lane_index()) && sum < n_center_sums) center_sums[n * n_center_sums + sum] = sums[0];
}

}  // namespace

template <class T>
void describe_radial(const SlotView<T> &slots, const DescriptorView<T> &d, T *features, cudaStream_t stream) {
  launch(warp_for_each(slots.n_centers), stream, describe_kernel<T>, slots, d, features);
}

template <class T>
void tangent_radial(const SlotView<T> &slots, const DescriptorView<T> &d, const T *tangents, T *features,
                    cudaStream_t stream) {
  launch(warp_for_each(slots.n_centers), stream, tangent_kernel<T>, slots, d, tangents, features);
}

template <class T>
void contract_radial(const SlotView<T> &slots, const DescriptorView<T> &d, const T *g, const T *slot_gradients,
                     T *gradients, double *sums, cudaStream_t stream) {
  launch(warp_for_each(slots.n_centers), stream, contract_kernel<T>, slots, d, g, slot_gradients, gradients, sums);
}

#define PANNA_INSTANTIATE(T)                                                                                        \
  template void describe_radial(const SlotView<T> &, const DescriptorView<T> &, T *, cudaStream_t);                 \
  template void tangent_radial(const SlotView<T> &, const DescriptorView<T> &, const T *, T *, cudaStream_t);       \
  template void contract_radial(const SlotView<T> &, const DescriptorView<T> &, const T *, const T *, T *, double *, \
                                cudaStream_t);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

}  // namespace panna_plus::cuda
