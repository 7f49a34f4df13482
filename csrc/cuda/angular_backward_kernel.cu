// dE/dG back to the neighbours: a warp per centre; lanes are neighbours j, and in every pass all of them meet another
// neighbour k each, no two the same one, so that both sides add up without atomics.
#include "cuda/descriptor_kernels.h"
#include "cuda/triplets.h"

namespace panna_plus::cuda {
namespace {

constexpr int block_threads = warps_per_block * warp_size;
template <class T>
constexpr int blocks_at_once = sizeof(T) == 4 ? 4 : 3;

/// dE/dG of the block of one pair of species, laid out like the tile, 0 where it is padded.
template <class T, int NA, int NB>
__device__ __forceinline__ void load_grid(const AngularTile<T, NA, NB> &tile, const T *block, T *grid) {
  for (int place = lane_index(); place < NA * NB; place += warp_size) {
    T sum(0);
    for (int f = tile.first[place]; f < tile.first[place + 1]; ++f) sum += block[tile.functions[f]];
    grid[place] = sum;
  }
}

/// Sums over the functions of a tile of one triplet; the grid is contracted with the shells first.
template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ math::GridSums<T> grid_sums(const AngularTile<T, NA, NB> &tile, const T *grid, T x,
                                                       const math::Angle<T> &angle) {
  T by_shell[NB] = {}, by_slope[NB] = {};
  PANNA_UNROLL
  for (int a = 0; a < NA; ++a) {
    const math::ValueSlope<T> shell = math::shell_function<!is_bp>(tile.shells[a], x);
    PANNA_UNROLL
    for (int b = 0; b < NB; b += 4) {
      const Four<T> g = *reinterpret_cast<const Four<T> *>(grid + a * NB + b);
      const T four[4] = {g.x, g.y, g.z, g.w};
      PANNA_UNROLL
      for (int k = 0; k < 4; ++k) {
        by_shell[b + k] += four[k] * shell.value;
        by_slope[b + k] += four[k] * shell.slope;
      }
    }
  }
  T windows[NB], slopes[NB];
  window_functions<is_bp>(tile, angle, windows, slopes);
  math::GridSums<T> sums{T(0), T(0), T(0)};
  PANNA_UNROLL
  for (int b = 0; b < NB; ++b) {
    sums.value += by_shell[b] * windows[b];
    sums.by_cosine += by_shell[b] * slopes[b];
    sums.by_x += by_slope[b] * windows[b];
  }
  return sums;
}

/// What a lane gathers for its j: the gradient is along * u_j + turn / r_j.
template <class T>
struct LaneGradient {
  T along;
  math::Vector3<T> turn;
};

/// One triplet: its part of the gradient of j is added to `mine`, that of k is returned.
template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ math::Vector3<T> contract_triplet(const AngularTile<T, NA, NB> &tile, T cutoff,
                                                             const T *grid, const Neighbor<T> &j, T inverse_r_j,
                                                             const Neighbor<T> &k, LaneGradient<T> &mine) {
  const math::Angle<T> angle = math::angle_between(j.u, k.u);
  const T c = angle.cosine, inverse_r_k = T(1) / k.end.r;
  const T x = math::shell_point<is_bp>(j.end, k.end, c, cutoff).x;
  const auto slopes =
      math::triplet_slopes<is_bp>(j.end, k.end, c, cutoff, grid_sums<is_bp>(tile, grid, x, angle));
  mine.along += slopes.r_j - slopes.cosine * c * inverse_r_j;
  mine.turn = mine.turn + slopes.cosine * k.u;
  const T turn_k = slopes.cosine * inverse_r_k;
  return (slopes.r_k - turn_k * c) * k.u + turn_k * j.u;
}

template <class T>
__device__ __forceinline__ void add_to_row(T *row, int slot, math::Vector3<T> gradient) {
  row[3 * slot] += gradient.x;
  row[3 * slot + 1] += gradient.y;
  row[3 * slot + 2] += gradient.z;
}

/// The passes of a chunk of up to 32 neighbours j: in each, j meets the k that lies `pass` behind it, in a circle.
struct Passes {
  Runs runs;
  int first, end;

  __device__ __forceinline__ explicit Passes(const Runs &r)
      : runs(r), first(r.same ? 1 : 0), end(r.same ? r.n_k / 2 + 1 : r.n_k) {}

  /// The neighbour that j (counted from its run) meets, -1 for none: the last pass of an even number of neighbours of
  /// one species would bring the same pairs twice.
  __device__ __forceinline__ int partner(int j, int pass) const {
    if (j >= runs.n_j || (runs.same && 2 * pass == runs.n_k && j >= pass)) return -1;
    const int k = j + pass;
    return runs.k_begin + (k >= runs.n_k ? k - runs.n_k : k);
  }
};

template <bool is_bp, class T, int NA, int NB>
__device__ __forceinline__ void contract_runs(const AngularTile<T, NA, NB> &tile, T cutoff,
                                              const CenterSlots<T> &center, const Runs &runs, const T *grid, T *row) {
  const Passes passes(runs);
  for (int j0 = 0; j0 < runs.n_j; j0 += warp_size) {
    const int mine = j0 + lane_index(), slot = runs.j_begin + (mine < runs.n_j ? mine : 0);
    const Neighbor<T> j = center[slot];
    const T inverse_r = T(1) / j.end.r;
    LaneGradient<T> sum{T(0), {T(0), T(0), T(0)}};
    for (int pass = passes.first; pass < passes.end; ++pass) {
      const int k = passes.partner(mine, pass);
      if (k >= 0) {
        add_to_row(row, k, contract_triplet<is_bp>(tile, cutoff, grid, j, inverse_r, center[k], sum));
      }
      __syncwarp();
    }
    if (mine < runs.n_j) add_to_row(row, slot, sum.along * j.u + inverse_r * sum.turn);
    __syncwarp();
  }
}

/// Slots whose gradients one warp sums up in shared memory; those of larger centres are summed up where they end up.
constexpr int row_slots = 128;

template <class T, int NA, int NB>
constexpr int warp_numbers = NA * NB + 3 * row_slots;

template <bool is_bp, class T, int NA, int NB>
__global__ void __launch_bounds__(block_threads, blocks_at_once<T>)
    contract_kernel(SlotView<T> slots, DescriptorView<T> d, AngularTile<T, NA, NB> tile, const T *g, bool adds,
                    T *slot_gradients) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  T *grid = warp_memory<T>(warp_numbers<T, NA, NB>);
  const std::int64_t first = slots.start[n];
  const CenterSlots<T> center(slots, first);
  const int n_numbers = 3 * slots.bins[(n + 1) * (2 * d.n_species + 1) - 1];
  const bool is_outside = n_numbers > 3 * row_slots;
  T *out = slot_gradients + 3 * first, *row = is_outside ? out : grid + NA * NB;
  for (int k = lane_index(); k < n_numbers && !(is_outside && adds); k += warp_size) row[k] = T(0);
  for_each_block(slots, d, n, [&](const Runs &runs, int feature) {
    if (runs.n_triplets() == 0) return;
    load_grid(tile, g + n * d.n_features + feature, grid);
    __syncwarp();
    contract_runs<is_bp>(tile, d.angular_cutoff, center, runs, grid, row);
  });
  __syncwarp();
  for (int k = lane_index(); k < n_numbers && !is_outside; k += warp_size) out[k] = row[k] + (adds ? out[k] : T(0));
}

}  // namespace

template <class T, int NA, int NB>
void contract_angular(bool is_bp, const SlotView<T> &slots, const DescriptorView<T> &d,
                      const AngularTile<T, NA, NB> &tile, const T *g, bool adds, T *slot_gradients,
                      cudaStream_t stream) {
  const auto kernel = is_bp ? contract_kernel<true, T, NA, NB> : contract_kernel<false, T, NA, NB>;
  const std::size_t bytes = warp_numbers<T, NA, NB> * sizeof(T);
  launch(warp_for_each(slots.n_centers, bytes), stream, kernel, slots, d, tile, g, adds, slot_gradients);
}

#define PANNA_INSTANTIATE(T, N)                                                                                      \
  template void contract_angular(bool, const SlotView<T> &, const DescriptorView<T> &, const AngularTile<T, N, N> &, \
                                 const T *, bool, T *, cudaStream_t);

PANNA_INSTANTIATE(float, 8)
PANNA_INSTANTIATE(float, 4)
PANNA_INSTANTIATE(double, 4)

}  // namespace panna_plus::cuda
