#include "cuda/neighbor_kernels.h"

#include "cuda/warp.h"
#include "math/cutoff.h"

namespace panna_plus::cuda {
namespace {

/// An entry with the species of its neighbour; displacement and sums in double.
struct Candidate {
  double x, y, z;
  int species;

  __device__ double squared() const { return x * x + y * y + z * z; }
};

__device__ __forceinline__ Candidate candidate(const PositionSource &source, std::int64_t n, std::int64_t entry) {
  const std::int64_t j = source.neighbors[entry];
  const double *from = source.positions + 3 * std::int64_t(source.centers[n]), *to = source.positions + 3 * j;
  return {to[0] - from[0], to[1] - from[1], to[2] - from[2], source.species[j]};
}

/// What is no species becomes a large one: here no neighbour is left out by a negative number.
__device__ __forceinline__ Candidate candidate(const PairSource &source, std::int64_t, std::int64_t entry) {
  constexpr std::int64_t none = 0x7fffffff;
  const double *r = source.displacements + 3 * entry;
  const std::int64_t species = source.long_species ? source.long_species[entry] : source.species[entry];
  return {r[0], r[1], r[2], std::int32_t(species >= 0 && species < none ? species : none)};
}

__device__ __forceinline__ bool is_finite(double x) { return x - x == 0.0; }

__device__ __forceinline__ void report(ErrorWord *error, std::int64_t center, Trouble trouble) {
  atomicMin(error, ErrorWord(center) << 8 | ErrorWord(trouble));
}

/// A position that is not finite is an error whether or not the atom has neighbours.
__device__ __forceinline__ bool has_position(const PositionSource &source, std::int64_t n) {
  const double *x = source.positions + 3 * std::int64_t(source.centers[n]);
  return is_finite(x[0] + x[1] + x[2]);
}

__device__ __forceinline__ bool has_position(const PairSource &, std::int64_t) { return true; }

constexpr ErrorWord no_error = ~ErrorWord(0);

/// What is wrong with the rows; those of atoms with positions were made by the engine.
__device__ __forceinline__ ErrorWord row_error(const PositionSource &) { return no_error; }
__device__ __forceinline__ ErrorWord row_error(const PairSource &source) { return *source.row_error; }

__global__ void row_kernel(const std::int64_t *start, std::int64_t n_centers, std::int64_t n_entries,
                           ErrorWord *error) {
  constexpr std::int64_t longest = 0x3fffffff;
  const std::int64_t n = thread_index();
  if (n >= n_centers) return;
  const std::int64_t first = start[n], end = start[n + 1];
  const bool is_inside = first >= 0 && first <= end && end <= n_entries && end - first <= longest;
  const bool is_row = is_inside && (n > 0 || first == 0) && (n + 1 < n_centers || end == n_entries);
  if (!is_row) report(error, n, bad_list);
}

constexpr double smallest_squared_distance = 1e-16;  // (1e-8 angstrom)^2

/// The bin of an entry, 2 species + is far, or -1 for one that does not count.
template <class T>
__device__ __forceinline__ int bin_of(const Candidate &entry, const SortLimits<T> &limits, int n_species,
                                      bool &is_wrong) {
  const double squared = entry.squared();
  if (entry.species == -1 || (squared >= limits.squared_cutoff && is_finite(squared))) return -1;
  const bool is_known = entry.species >= 0 && entry.species < n_species;
  if (!is_known || !(squared >= smallest_squared_distance && is_finite(squared))) {
    is_wrong = true;
    return -1;
  }
  return 2 * entry.species + (squared < limits.squared_angular_cutoff ? 0 : 1);
}

/// The closest pair that a lane, and then the warp, has seen.
struct Closest {
  double ratio;
  int entry;
};

template <class T>
__device__ __forceinline__ void write_closest(const SortLimits<T> &limits, std::int64_t n, Closest mine) {
  PANNA_UNROLL
  for (int other = warp_size / 2; other > 0; other /= 2) {
    const double ratio = __shfl_xor_sync(whole_warp, mine.ratio, other);
    const int entry = __shfl_xor_sync(whole_warp, mine.entry, other);
    // Of equals the first in the list, whatever the order of lanes.
    const bool is_closer = entry >= 0 && (mine.entry < 0 || ratio < mine.ratio ||
                                          (ratio == mine.ratio && entry < mine.entry));
    if (is_closer) mine = {ratio, entry};
  }
  if (lane_index() == 0) {
    limits.closest[n] = mine.ratio;
    limits.closest_entry[n] = mine.entry;
  }
}

/// Counts the entries of every bin; bins are the warp's shared memory, zero before.
template <class T, class Source>
__device__ __forceinline__ void count_bins(const Source &source, const SortLimits<T> &limits, const SlotView<T> &slots,
                                           std::int64_t n, int *bins, ErrorWord *error) {
  const std::int64_t first = slots.start[n];
  const int n_entries = int(slots.start[n + 1] - first), lane = lane_index();
  const double *closeness =
      limits.closeness ? limits.closeness + std::int64_t(limits.center_species[n]) * slots.n_species : nullptr;
  Closest closest{0.0, -1};
  bool is_wrong = !has_position(source, n);
  for (int k0 = 0; k0 < n_entries; k0 += warp_size) {
    const int k = k0 + lane;
    int bin = -1;
    if (k < n_entries) {
      const Candidate entry = candidate(source, n, first + k);
      bin = bin_of(entry, limits, slots.n_species, is_wrong);
      const double factor = bin >= 0 && closeness ? closeness[entry.species] : 0.0, ratio = entry.squared() * factor;
      if (factor > 0.0 && (closest.entry < 0 || ratio < closest.ratio)) closest = {ratio, k};
    }
    const unsigned same = __match_any_sync(whole_warp, bin);
    if (bin >= 0 && lane == __ffs(same) - 1) bins[bin] += __popc(same);
    __syncwarp();
  }
  if (is_wrong) report(error, n, bad_position);
  if (limits.closeness) write_closest(limits, n, closest);
}

/// Replaces the counts of n bins by where each begins; returns the end of the last.
__device__ __forceinline__ int starts_from_counts(int *bins, int n) {
  const int lane = lane_index();
  int total = 0;
  for (int b0 = 0; b0 < n; b0 += warp_size) {
    const int count = b0 + lane < n ? bins[b0 + lane] : 0;
    int sum = count;
    PANNA_UNROLL
    for (int other = 1; other < warp_size; other *= 2) {
      const int below = __shfl_sync(whole_warp, sum, lane - other);
      if (lane >= other) sum += below;
    }
    if (b0 + lane < n) bins[b0 + lane] = total + sum - count;
    total += __shfl_sync(whole_warp, sum, warp_size - 1);
  }
  __syncwarp();
  return total;
}

template <class T>
__device__ __forceinline__ void write_slot(const Candidate &entry, const SortLimits<T> &limits,
                                           const SlotView<T> &slots, std::int64_t slot, int k) {
  const math::Vector3<T> r{T(entry.x), T(entry.y), T(entry.z)};
  const T squared = math::dot(r, r), inverse = math::inverse_sqrt(squared), distance = squared * inverse;
  slots.direction[slot] = {r.x * inverse, r.y * inverse, r.z * inverse, distance};
  const auto radial = math::cosine_cutoff(distance, limits.radial_cutoff);
  const auto angular = math::cosine_cutoff(distance, limits.angular_cutoff);
  slots.radial_cut[slot] = {radial.value, radial.slope};
  slots.angular_cut[slot] = {angular.value, angular.slope};
  slots.entry[slot] = k;
}

/// Writes every counted entry to its slot; `bins` holds the next free slot of each bin.
template <class T, class Source>
__device__ __forceinline__ void place_entries(const Source &source, const SortLimits<T> &limits,
                                              const SlotView<T> &slots, std::int64_t n, int *bins, T *gradients) {
  const std::int64_t first = slots.start[n];
  const int n_entries = int(slots.start[n + 1] - first), lane = lane_index();
  for (int k0 = 0; k0 < n_entries; k0 += warp_size) {
    const int k = k0 + lane;
    Candidate entry{};
    bool ignored = false;
    int bin = -1;
    if (k < n_entries) {
      entry = candidate(source, n, first + k);
      bin = bin_of(entry, limits, slots.n_species, ignored);
      for (int a = 0; a < 3 && bin < 0 && gradients; ++a) gradients[3 * (first + k) + a] = T(0);
    }
    const unsigned same = __match_any_sync(whole_warp, bin);
    if (bin >= 0) write_slot(entry, limits, slots, first + bins[bin] + __popc(same & ((1u << lane) - 1u)), k);
    __syncwarp();
    if (bin >= 0 && lane == __ffs(same) - 1) bins[bin] += __popc(same);
    __syncwarp();
  }
}

template <class T, class Source>
__global__ void __launch_bounds__(warps_per_block *warp_size, 8)
    sort_kernel(Source source, SortLimits<T> limits, SlotView<T> slots, T *gradients, ErrorWord *error) {
  const std::int64_t n = warp_index();
  if (n >= slots.n_centers) return;
  const int n_bins = 2 * slots.n_species;
  int *bins = warp_memory<int>(std::size_t(n_bins));
  for (int b = lane_index(); b < n_bins; b += warp_size) bins[b] = 0;
  __syncwarp();
  int *kept = slots.bins + n * (n_bins + 1);
  const ErrorWord wrong_row = row_error(source);
  if (wrong_row != no_error) {
    for (int b = lane_index(); b <= n_bins; b += warp_size) kept[b] = 0;
    if (n == 0 && lane_index() == 0) atomicMin(error, wrong_row);
    return;
  }
  count_bins(source, limits, slots, n, bins, error);
  const int total = starts_from_counts(bins, n_bins);
  const bool is_crowded = total > most_slots;
  for (int b = lane_index(); b <= n_bins; b += warp_size) kept[b] = is_crowded ? 0 : b < n_bins ? bins[b] : total;
  if (is_crowded) report(error, n, too_many_neighbors);
  __syncwarp();
  place_entries(source, limits, slots, n, bins, gradients);
}

__global__ void mask_kernel(const std::int64_t *start, std::int64_t n_centers, std::int32_t mask, std::int64_t n_atoms,
                            std::int32_t *neighbors, ErrorWord *error) {
  const std::int64_t n = warp_index();
  if (n >= n_centers) return;
  for (std::int64_t e = start[n] + lane_index(); e < start[n + 1]; e += warp_size) {
    const std::int32_t j = neighbors[e] & mask;
    neighbors[e] = j;
    if (j < 0 || j >= n_atoms) report(error, n, bad_list);
  }
}

__global__ void count_kernel(const std::int32_t *neighbors, std::int64_t n_entries, unsigned *counts) {
  const std::int64_t e = thread_index();
  if (e < n_entries) atomicAdd(counts + neighbors[e], 1u);
}

__global__ void fill_kernel(const std::int32_t *neighbors, std::int64_t n_entries, ReverseArrays reverse) {
  const std::int64_t e = thread_index();
  if (e >= n_entries) return;
  const std::int32_t j = neighbors[e];
  reverse.unsorted[reverse.start[j] + atomicAdd(reverse.next + j, 1u)] = std::uint32_t(e);
}

/// The index of the row of `start` (n + 1 ascending values) that holds entry e.
__device__ __forceinline__ std::int64_t row_of(const std::int64_t *start, std::int64_t n, std::int64_t e) {
  std::int64_t low = 0, high = n;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    (start[middle] <= e ? low : high) = middle;
  }
  return low;
}

/// The atomics of fill_kernel left the entries of an atom in any order: every one counts those before it.
__global__ void order_kernel(const std::int64_t *start, const std::int32_t *centers, std::int64_t n_centers,
                             std::int64_t n_atoms, ReverseArrays reverse) {
  const std::int64_t atom = warp_index();
  if (atom >= n_atoms) return;
  const std::int64_t first = reverse.start[atom], end = reverse.start[atom + 1];
  for (std::int64_t k = first + lane_index(); k < end; k += warp_size) {
    const std::uint32_t mine = reverse.unsorted[k];
    std::int64_t rank = first;
    for (std::int64_t other = first; other < end; ++other) rank += reverse.unsorted[other] < mine;
    reverse.entries[rank] = mine;
    reverse.centers[rank] = centers[row_of(start, n_centers, mine)];
  }
}

}  // namespace

template <class T, class Source>
void sort_neighbors(const Source &source, const SortLimits<T> &limits, const SlotView<T> &slots, T *gradients,
                    ErrorWord *error, cudaStream_t stream) {
  const std::size_t bytes = 2 * std::size_t(slots.n_species) * sizeof(int);
  launch(warp_for_each(slots.n_centers, bytes), stream, sort_kernel<T, Source>, source, limits, slots, gradients,
         error);
}

template void sort_neighbors(const PositionSource &, const SortLimits<float> &, const SlotView<float> &, float *,
                             ErrorWord *, cudaStream_t);
template void sort_neighbors(const PositionSource &, const SortLimits<double> &, const SlotView<double> &, double *,
                             ErrorWord *, cudaStream_t);
template void sort_neighbors(const PairSource &, const SortLimits<float> &, const SlotView<float> &, float *,
                             ErrorWord *, cudaStream_t);
template void sort_neighbors(const PairSource &, const SortLimits<double> &, const SlotView<double> &, double *,
                             ErrorWord *, cudaStream_t);

void check_rows(const std::int64_t *start, std::int64_t n_centers, std::int64_t n_entries, ErrorWord *error,
                cudaStream_t stream) {
  launch(thread_for_each(n_centers), stream, row_kernel, start, n_centers, n_entries, error);
}

void mask_neighbors(const std::int64_t *start, std::int64_t n_centers, std::int32_t mask, std::int64_t n_atoms,
                    std::int32_t *neighbors, ErrorWord *error, cudaStream_t stream) {
  launch(warp_for_each(n_centers), stream, mask_kernel, start, n_centers, mask, n_atoms, neighbors, error);
}

void count_named(const std::int32_t *neighbors, std::int64_t n_entries, unsigned *counts, cudaStream_t stream) {
  launch(thread_for_each(n_entries), stream, count_kernel, neighbors, n_entries, counts);
}

void fill_reverse(const std::int32_t *neighbors, std::int64_t n_entries, const std::int64_t *start,
                  const std::int32_t *centers, std::int64_t n_centers, std::int64_t n_atoms,
                  const ReverseArrays &reverse, cudaStream_t stream) {
  launch(thread_for_each(n_entries), stream, fill_kernel, neighbors, n_entries, reverse);
  launch(warp_for_each(n_atoms), stream, order_kernel, start, centers, n_centers, n_atoms, reverse);
}

}  // namespace panna_plus::cuda
