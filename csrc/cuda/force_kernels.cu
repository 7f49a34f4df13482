#include "cuda/force_kernels.h"

#include "cuda/descriptor_kernels.h"
#include "cuda/warp.h"

namespace panna_plus::cuda {
namespace {

constexpr int block_threads = warps_per_block * warp_size;

/// -r (x) gradient in the order xx yy zz xy xz yz yx zx zy.
__device__ __forceinline__ void pair_virial(const double r[3], const double g[3], double (&w)[9]) {
  const int row[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, column[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
  PANNA_UNROLL
  for (int k = 0; k < 9; ++k) w[k] = -r[row[k]] * g[column[k]];
}

/// Component k of the six of a symmetrised virial.
__device__ __forceinline__ double symmetrized(const double *full, int k) {
  return k < 3 ? full[k] : 0.5 * (full[k] + full[k + 3]);
}

/// What atom `atom` has from entry k of the reverse map: minus the gradient and, behind it, the virial.
template <bool with_virials, class T>
__device__ __forceinline__ void add_named(const PairGradients<T> &pairs, const ReverseView &reverse, std::int64_t atom,
                                          std::int64_t k, double *sums) {
  const T *from = pairs.gradients + 3 * std::int64_t(reverse.entries[k]);
  const double gradient[3] = {double(from[0]), double(from[1]), double(from[2])};
  PANNA_UNROLL
  for (int a = 0; a < 3; ++a) sums[a] -= gradient[a];
  if constexpr (with_virials) {
    const double *x_i = pairs.positions + 3 * std::int64_t(reverse.centers[k]), *x_j = pairs.positions + 3 * atom;
    const double r[3] = {x_j[0] - x_i[0], x_j[1] - x_i[1], x_j[2] - x_i[2]};
    double virial[9];
    pair_virial(r, gradient, virial);
    PANNA_UNROLL
    for (int a = 0; a < 9; ++a) sums[3 + a] += virial[a];
  }
}

/// Sums of all lanes to the results: lane k holds component k.
template <bool with_virials>
__device__ __forceinline__ void store_atom(const AtomResults &out, std::int64_t atom, const double *own,
                                           const double *named, int k) {
  if (k < 3) out.forces[3 * atom + k] = named[k] + (own ? own[k] : 0.0);
  if constexpr (with_virials) {
    if (k < 6 && out.atomic_virials) {
      out.atomic_virials[6 * atom + k] = 0.5 * (symmetrized(named + 3, k) + (own ? own[3 + k] : 0.0));
    }
    if (k < 9 && out.centroid_virials) out.centroid_virials[9 * atom + k] = named[3 + k];
  }
}

template <bool with_virials, class T>
__global__ void __launch_bounds__(block_threads)
    gather_kernel(PairGradients<T> pairs, ReverseView reverse, AtomResults out) {
  constexpr int n_sums = with_virials ? 16 : 4;
  const std::int64_t atom = warp_index();
  if (atom >= pairs.n_atoms) return;
  double sums[n_sums] = {};
  for (std::int64_t k = reverse.start[atom] + lane_index(); k < reverse.start[atom + 1]; k += warp_size) {
    add_named<with_virials>(pairs, reverse, atom, k, sums);
  }
  __syncwarp();
  transposed_sums(sums);
  double *named = warp_memory<double>(n_sums);
  if (writes_summed<n_sums>(lane_index())) named[first_summed<n_sums>(lane_index())] = sums[0];
  __syncwarp();
  const std::int32_t center = pairs.center_of_atom[atom];
  const double *own = center < 0 ? nullptr : pairs.center_sums + std::int64_t(center) * n_center_sums;
  store_atom<with_virials>(out, atom, own, named, lane_index());
}

__device__ __forceinline__ void add_atomically(double *to, const double *values, int n, double factor) {
  for (int k = 0; k < n; ++k) atomicAdd(to + k, factor * values[k]);
}

/// Adds one pair to its neighbour; the centre's half of the virial comes from the sums of the centre.
template <class T>
__device__ __forceinline__ void scatter_pair(const PairGradients<T> &pairs, std::int64_t i, std::int64_t j,
                                             const T *from, const AtomResults &out) {
  const double gradient[3] = {double(from[0]), double(from[1]), double(from[2])};
  add_atomically(out.forces + 3 * j, gradient, 3, -1.0);
  if (!out.atomic_virials && !out.centroid_virials) return;
  const double *x_i = pairs.positions + 3 * i, *x_j = pairs.positions + 3 * j;
  const double r[3] = {x_j[0] - x_i[0], x_j[1] - x_i[1], x_j[2] - x_i[2]};
  double virial[9];
  pair_virial(r, gradient, virial);
  if (out.centroid_virials) add_atomically(out.centroid_virials + 9 * j, virial, 9, 1.0);
  if (!out.atomic_virials) return;
  double symmetric[6];
  PANNA_UNROLL
  for (int k = 0; k < 6; ++k) symmetric[k] = symmetrized(virial, k);
  add_atomically(out.atomic_virials + 6 * j, symmetric, 6, 0.5);
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    scatter_kernel(PairGradients<T> pairs, SlotView<T> slots, const std::int32_t *centers,
                   const std::int32_t *neighbors, AtomResults out) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const std::int64_t i = centers[n], first = slots.start[n];
  const int n_slots = slots.bins[(n + 1) * (2 * slots.n_species + 1) - 1];
  for (int k = lane_index(); k < n_slots; k += warp_size) {
    const std::int64_t entry = first + slots.entry[first + k];
    scatter_pair(pairs, i, neighbors[entry], pairs.gradients + 3 * entry, out);
  }
  if (lane_index() != 0) return;
  const double *own = pairs.center_sums + n * n_center_sums;
  add_atomically(out.forces + 3 * i, own, 3, 1.0);
  if (out.atomic_virials) add_atomically(out.atomic_virials + 6 * i, own + 3, 6, 0.5);
}

/// Least value over the warp; of equals that of the lower centre.
__device__ __forceinline__ void keep_closest(CenterTotals &total) {
  PANNA_UNROLL
  for (int other = warp_size / 2; other > 0; other /= 2) {
    const double closest = __shfl_xor_sync(whole_warp, total.closest, other);
    const std::int64_t center = __shfl_xor_sync(whole_warp, total.closest_center, other);
    const std::int32_t entry = __shfl_xor_sync(whole_warp, total.closest_entry, other);
    const bool is_better = center >= 0 && (total.closest_center < 0 || closest < total.closest ||
                                           (closest == total.closest && center < total.closest_center));
    if (!is_better) continue;
    total.closest = closest;
    total.closest_center = center;
    total.closest_entry = entry;
  }
}

__global__ void __launch_bounds__(block_threads)
    total_kernel(std::int64_t n_centers, const double *energies, const double *center_sums, const double *closest,
                 const std::int32_t *closest_entry, CenterTotals *totals) {
  const std::int64_t first = warp_index() * centers_per_total;
  if (first >= n_centers) return;
  const std::int64_t end = first + centers_per_total < n_centers ? first + centers_per_total : n_centers;
  double sums[8] = {};
  CenterTotals total{};
  total.closest_center = total.closest_entry = -1;
  for (std::int64_t n = first + lane_index(); n < end; n += warp_size) {
    sums[0] += energies[n];
    PANNA_UNROLL
    for (int k = 0; k < 6; ++k) sums[1 + k] += center_sums[n * n_center_sums + 3 + k];
    if (closest_entry[n] >= 0 && (total.closest_center < 0 || closest[n] < total.closest)) {
      total.closest = closest[n];
      total.closest_center = n;
      total.closest_entry = closest_entry[n];
    }
  }
  __syncwarp();
  keep_closest(total);
  PANNA_UNROLL
  for (int k = 0; k < 7; ++k) sums[k] = warp_sum(sums[k]);
  if (lane_index() != 0) return;
  total.energy = sums[0];
  PANNA_UNROLL
  for (int k = 0; k < 6; ++k) total.virial[k] = sums[1 + k];
  totals[warp_index()] = total;
}

}  // namespace

template <class T>
void gather_forces(const PairGradients<T> &pairs, const ReverseView &reverse, const AtomResults &out,
                   cudaStream_t stream) {
  if (out.atomic_virials || out.centroid_virials) {
    launch(warp_for_each(pairs.n_atoms, 16 * sizeof(double)), stream, gather_kernel<true, T>, pairs, reverse, out);
  } else {
    launch(warp_for_each(pairs.n_atoms, 4 * sizeof(double)), stream, gather_kernel<false, T>, pairs, reverse, out);
  }
}

template <class T>
void scatter_forces(const PairGradients<T> &pairs, const SlotView<T> &slots, const std::int32_t *centers,
                    const std::int32_t *neighbors, const AtomResults &out, cudaStream_t stream) {
  launch(warp_for_each(slots.n_centers), stream, scatter_kernel<T>, pairs, slots, centers, neighbors, out);
}

#define PANNA_INSTANTIATE(T)                                                                                     \
  template void gather_forces(const PairGradients<T> &, const ReverseView &, const AtomResults &, cudaStream_t); \
  template void scatter_forces(const PairGradients<T> &, const SlotView<T> &, const std::int32_t *,              \
                               const std::int32_t *, const AtomResults &, cudaStream_t);

PANNA_INSTANTIATE(float)
PANNA_INSTANTIATE(double)

void total_centers(std::int64_t n_centers, const double *energies, const double *center_sums, const double *closest,
                   const std::int32_t *closest_entry, CenterTotals *totals, cudaStream_t stream) {
  const std::int64_t n_totals = (n_centers + centers_per_total - 1) / centers_per_total;
  launch(warp_for_each(n_totals), stream, total_kernel, n_centers, energies, center_sums, closest, closest_entry,
         totals);
}

}  // namespace panna_plus::cuda
