// Angular functions and their changes: a warp per centre, a lane per triplet, a register per function and lane.
#include "cuda/descriptor_kernels.h"
#include "cuda/triplets.h"

namespace panna_plus::cuda {
namespace {

constexpr int block_threads = warps_per_block * warp_size;
template <class T>
constexpr int blocks_at_once = sizeof(T) == 4 ? 4 : 3;

/// totals[a, b] += factor_a * window_b.
template <int NA, int NB, class T>
__device__ __forceinline__ void add_row(T (&totals)[NA * NB], int a, T factor, const T (&windows)[NB]) {
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) totals[a * NB + b] += factor * windows[b];
}

template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ void add_triplet(const AngularTile<T, NA, NB> &tile, T cutoff, const Neighbor<T> &j,
                                            const Neighbor<T> &k, T (&totals)[NA * NB]) {
  const math::Angle<T> angle = math::angle_between(j.u, k.u);
  const math::ShellPoint<T> point = math::shell_point<is_bp>(j.end, k.end, angle.cosine, cutoff);
  T windows[NB];
  window_values<is_bp>(tile, angle, windows);
  PANNA_UNROLL
  for (int a = 0; a < NA; ++a) {
    const T shell = math::shell_function<!is_bp>(tile.shells[a], point.x).value;
    add_row<NA, NB>(totals, a, shell * point.weight, windows);
  }
}

template <bool is_bp, class T, int NA, int NB>
__global__ void __launch_bounds__(block_threads, blocks_at_once<T>)
    describe_kernel(SlotView<T> slots, DescriptorView<T> d, AngularTile<T, NA, NB> tile, T *features) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const CenterSlots<T> center(slots, slots.start[n]);
  for_each_block(slots, d, n, [&](const Runs &runs, int feature) {
    T totals[NA * NB] = {};
    for (TripletWalk walk(runs, lane_index()); walk.is_inside(); walk.advance()) {
      add_triplet<is_bp>(tile, d.angular_cutoff, center[walk.j()], center[walk.k()], totals);
    }
    __syncwarp();
    store_block(tile, totals, features + n * d.n_features + feature);
  });
}

/// The change of the displacement of a slot.
template <class T>
__device__ __forceinline__ math::Vector3<T> tangent_of(const SlotView<T> &slots, const T *tangents, std::int64_t first,
                                                       int slot) {
  const T *t = tangents + 3 * (first + slots.entry[first + slot]);
  return {t[0], t[1], t[2]};
}

template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ void add_triplet_change(const AngularTile<T, NA, NB> &tile, T cutoff, const Neighbor<T> &j,
                                                   const Neighbor<T> &k, math::Vector3<T> t_j, math::Vector3<T> t_k,
                                                   T (&totals)[NA * NB]) {
  const math::Angle<T> angle = math::angle_between(j.u, k.u);
  const math::TripletSlopes<T> change =
      math::triplet_change(j.u, k.u, T(1) / j.end.r, T(1) / k.end.r, angle.cosine, t_j, t_k);
  const math::ShellPoint<T> point = math::shell_point<is_bp>(j.end, k.end, angle.cosine, cutoff);
  const math::ShellPoint<T> rate = math::shell_point_change<is_bp>(j.end, k.end, angle.cosine, cutoff, change);
  T windows[NB], with_shell[NB];
  window_functions<is_bp>(tile, angle, windows, with_shell);
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) {
    with_shell[b] = windows[b] * rate.weight + with_shell[b] * (point.weight * change.cosine);
  }
  PANNA_UNROLL
  for (int a = 0; a < NA; ++a) {
    const math::ValueSlope<T> shell = math::shell_function<!is_bp>(tile.shells[a], point.x);
    add_row<NA, NB>(totals, a, shell.value, with_shell);
    add_row<NA, NB>(totals, a, shell.slope * point.weight * rate.x, windows);
  }
}

template <bool is_bp, class T, int NA, int NB>
__global__ void __launch_bounds__(block_threads, blocks_at_once<T>)
    tangent_kernel(SlotView<T> slots, DescriptorView<T> d, AngularTile<T, NA, NB> tile, const T *tangents,
                   T *features) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const std::int64_t first = slots.start[n];
  const CenterSlots<T> center(slots, first);
  for_each_block(slots, d, n, [&](const Runs &runs, int feature) {
    T totals[NA * NB] = {};
    for (TripletWalk walk(runs, lane_index()); walk.is_inside(); walk.advance()) {
      add_triplet_change<is_bp>(tile, d.angular_cutoff, center[walk.j()], center[walk.k()],
                                tangent_of(slots, tangents, first, walk.j()),
                                tangent_of(slots, tangents, first, walk.k()), totals);
    }
    __syncwarp();
    store_block(tile, totals, features + n * d.n_features + feature);
  });
}

}  // namespace

template <class T, int NA, int NB>
void describe_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                      const AngularTile<T, NA, NB> &tile, T *features, cudaStream_t stream) {
  const auto kernel = is_bp ? describe_kernel<true, T, NA, NB> : describe_kernel<false, T, NA, NB>;
  launch(warp_for_each(slots.n_centers), stream, kernel, slots, d, tile, features);
}

template <class T, int NA, int NB>
void tangent_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                     const AngularTile<T, NA, NB> &tile, const T *tangents, T *features, cudaStream_t stream) {
  const auto kernel = is_bp ? tangent_kernel<true, T, NA, NB> : tangent_kernel<false, T, NA, NB>;
  launch(warp_for_each(slots.n_centers), stream, kernel, slots, d, tile, tangents, features);
}

#define PANNA_INSTANTIATE(T, N)                                                                                      \
  template void describe_angular(bool, const SlotView<T> &, const DescriptorView<T> &, const AngularTile<T, N, N> &, \
                                 T *, cudaStream_t);                                                                 \
  template void tangent_angular(bool, const SlotView<T> &, const DescriptorView<T> &, const AngularTile<T, N, N> &,  \
                                const T *, T *, cudaStream_t);

PANNA_INSTANTIATE(float, 8)
PANNA_INSTANTIATE(float, 4)
PANNA_INSTANTIATE(double, 4)

}  // namespace panna_plus::cuda
