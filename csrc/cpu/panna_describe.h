// From neighbours to the features of one atom.
#pragma once

#include "cpu/panna_shells.h"
#include "cpu/panna_triplets.h"

namespace panna_plus::PANNA_ISA {

/// Packs of triplets that are worked on together: their windows and shells stay in the first-level cache.
constexpr int chunk_packs = 16;
// The stages of a chunk are functions of their own (noinline): merged into one they spill registers, which costs 5 %.
/// The outer product is summed in registers in tiles of this many shells and windows.
constexpr int tile_shells = PANNA_VECTOR_BYTES == 64 ? 4 : 2;
constexpr int tile_windows = 4;

/// Parts of the scratch memory. A row of a chunk holds one number per triplet (or per neighbour: radial).
template <class T>
struct Scratch {
  static constexpr int W = Pack<T>::width;
  T *sums, *totals, *radial, *windows, *window_slopes, *shells, *shell_slopes, *sines, *sine_slopes;

  static std::size_t size(const DescriptorView<T> &d, int n_contracted) {
    return Scratch(d, nullptr, n_contracted).end_;
  }

  Scratch(const DescriptorView<T> &d, T *memory, int n_contracted = 1) : memory_(memory) {
    const int grid = d.shells.n * d.windows.n, n_sums = grid > d.n_radial ? grid : d.n_radial;
    sums = take(grid);
    totals = take((n_sums / W + 1) * n_contracted);
    radial = take(d.n_radial * chunk_packs);
    windows = take(d.windows.n * chunk_packs);
    window_slopes = take(d.windows.n * chunk_packs);
    shells = take(d.shells.n * chunk_packs);
    shell_slopes = take(d.shells.n * chunk_packs);
    sines = take(d.windows.n_sines * chunk_packs);
    sine_slopes = take(d.windows.n_sines * chunk_packs);
  }

 private:
  T *take(int n_packs) {
    const std::size_t start = end_;
    end_ += std::size_t(n_packs) * W;
    return memory_ ? memory_ + start : nullptr;
  }

  T *memory_;
  std::size_t end_ = 0;
};

template <class T>
std::size_t scratch_size(const DescriptorView<T> &d, int n_contracted) {
  return Scratch<T>::size(d, n_contracted);
}

template <class T>
void prepare(const DescriptorView<T> &d, const AtomView<T> &atom) {
  using V = Pack<T>;
  for (int s = 0; s < atom.start[d.n_species]; s += V::width) {
    const V x = V::load(atom.x + s), y = V::load(atom.y + s), z = V::load(atom.z + s);
    const V r = sqrt(x * x + y * y + z * z), inverse = V(1) / r;
    (x * inverse).store(atom.x + s);
    (y * inverse).store(atom.y + s);
    (z * inverse).store(atom.z + s);
    r.store(atom.r + s);
    inverse.store(atom.inverse_r + s);
    const auto radial = math::cosine_cutoff(r, V(d.radial_cutoff));
    radial.value.store(atom.radial_cut + s);
    radial.slope.store(atom.radial_cut_slope + s);
    const auto angular = math::cosine_cutoff(r, V(d.angular_cutoff));
    angular.value.store(atom.angular_cut + s);
    angular.slope.store(atom.angular_cut_slope + s);
  }
}

/// out[f] = sum over the lanes and packs of row f, for n rows of n_packs packs. `out` has room for a whole
/// number of packs.
template <class T>
PANNA_HD void sum_rows(const T *rows, int n, int n_packs, std::size_t stride, T *out) {
  using V = Pack<T>;
  constexpr int W = V::width;
  for (int first = 0; first < n; first += W) {
    V totals[W];
    for (int k = 0; k < W; ++k) {
      totals[k] = V(0);
      const T *row = rows + std::size_t(first + k) * stride;
      for (int p = 0; p < n_packs && first + k < n; ++p) totals[k] += V::load(row + p * W);
    }
    sums_across(totals).store(out + first);
  }
}

/// The radial blocks of features: sums over neighbours of what `fill(slot, place)` writes for one pack of them,
/// function n to place + n * chunk_packs * width.
template <class T, class Fill>
PANNA_HD void sum_radial(const DescriptorView<T> &d, const AtomView<T> &atom, const Scratch<T> &scratch, T *features,
                         Fill fill) {
  constexpr int W = Pack<T>::width, row = chunk_packs * W;
  for (int s = 0; s < d.n_species; ++s, features += d.n_radial) {
    for (int n = 0; n < d.n_radial; ++n) features[n] = T(0);
    const int begin = atom.start[s], end = begin + atom.n_total[s];
    for (int first = begin; first < end; first += row) {
      const int left = (end - first + W - 1) / W, n_packs = left < chunk_packs ? left : chunk_packs;
      for (int p = 0; p < n_packs; ++p) fill(first + p * W, scratch.radial + p * W);
      sum_rows(scratch.radial, d.n_radial, n_packs, row, scratch.totals);
      for (int n = 0; n < d.n_radial; ++n) features[n] += scratch.totals[n];
    }
  }
}

template <class T>
void describe_radial(const DescriptorView<T> &d, const AtomView<T> &atom, const Scratch<T> &scratch, T *features) {
  using V = Pack<T>;
  constexpr int row = chunk_packs * V::width;
  sum_radial(d, atom, scratch, features, [&](int slot, T *place) {
    const V r = V::load(atom.r + slot), cut = V::load(atom.radial_cut + slot);
    for_each_gaussian(d.radial, r, cut, [=](int n, V value) { value.store(place + n * row); });
  });
}

template <class T>
[[gnu::noinline]] void chunk_sines(const WindowView<T> &windows, const T *squared_sine, int n_packs,
                                   const Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  // The floor costs nothing here; panna_contract.h leaves it out where it can.
  const V floor(windows.needs_floor ? windows.sine_floor : T(0));
  for (int m = 0; m < windows.n_sines; ++m) {
    const V softening(windows.softening[m]);
    for (int p = 0; p < n_packs; ++p) {
      const V square = larger(V::load(squared_sine + p * W) + softening, floor);
      (square * inverse_sqrt(square)).store(scratch.sines + m * row + p * W);
    }
  }
}

/// Window b of N packs.
template <int N, class T>
PANNA_HD void pack_windows(const WindowView<T> &windows, int b, const T *cosine, const T *sine, T *out) {
  using V = Pack<T>;
  constexpr int W = V::width;
  V base[N], powers[N];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    base[p] = V(windows.offset[b]) + V(windows.along_cosine[b]) * V::load(cosine + p * W) +
              V(windows.along_sine[b]) * V::load(sine + p * W);
  }
  window_powers(windows, b, base, 0, powers);
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) powers[p].store(out + p * W);
}

template <class T>
[[gnu::noinline]] void chunk_windows(const WindowView<T> &windows, const T *cosine, int n_packs,
                                     const Scratch<T> &scratch) {
  constexpr int W = Pack<T>::width, row = chunk_packs * W;
  for (int b = 0; b < windows.n; ++b) {
    const T *c = cosine, *sine = scratch.sines + windows.sine[b] * row;
    T *out = scratch.windows + b * row;
    int p = 0;
    for (; p + 4 <= n_packs; p += 4) pack_windows<4>(windows, b, c + p * W, sine + p * W, out + p * W);
    for (; p + 2 <= n_packs; p += 2) pack_windows<2>(windows, b, c + p * W, sine + p * W, out + p * W);
    for (; p < n_packs; ++p) pack_windows<1>(windows, b, c + p * W, sine + p * W, out + p * W);
  }
}

/// sums[a, b] += shell a * window b for a tile of the grid, over the packs of a chunk; the first chunk
/// starts from zero.
template <int NA, int NB, class T>
PANNA_HD void add_tile(const T *shells, const T *windows, int n_packs, bool is_first, T *sums, int n_windows) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  V total[NA][NB];
#pragma GCC unroll 8
  for (int a = 0; a < NA; ++a) {
#pragma GCC unroll 8
    for (int b = 0; b < NB; ++b) total[a][b] = is_first ? V(0) : V::load(sums + (a * n_windows + b) * W);
  }
  for (int p = 0; p < n_packs; ++p) {
    V window[NB];
#pragma GCC unroll 8
    for (int b = 0; b < NB; ++b) window[b] = V::load(windows + b * row + p * W);
#pragma GCC unroll 8
    for (int a = 0; a < NA; ++a) {
      const V shell = V::load(shells + a * row + p * W);
#pragma GCC unroll 8
      for (int b = 0; b < NB; ++b) total[a][b] += shell * window[b];
    }
  }
#pragma GCC unroll 8
  for (int a = 0; a < NA; ++a) {
#pragma GCC unroll 8
    for (int b = 0; b < NB; ++b) total[a][b].store(sums + (a * n_windows + b) * W);
  }
}

template <int NA, class T>
PANNA_HD void add_tile_row(const T *shells, const T *windows, int n_packs, bool is_first, T *sums, int n_windows) {
  constexpr int W = Pack<T>::width, row = chunk_packs * W;
  int b = 0;
  for (; b + tile_windows <= n_windows; b += tile_windows) {
    add_tile<NA, tile_windows>(shells, windows + b * row, n_packs, is_first, sums + b * W, n_windows);
  }
  for (; b < n_windows; ++b) add_tile<NA, 1>(shells, windows + b * row, n_packs, is_first, sums + b * W, n_windows);
}

template <class T>
[[gnu::noinline]] void add_grid(const DescriptorView<T> &d, const T *shells, const T *windows, int n_packs,
                                bool is_first, T *sums) {
  constexpr int W = Pack<T>::width, row = chunk_packs * W;
  const int n_shells = d.shells.n, n_windows = d.windows.n;
  int a = 0;
  for (; a + tile_shells <= n_shells; a += tile_shells) {
    add_tile_row<tile_shells>(shells + a * row, windows, n_packs, is_first, sums + a * n_windows * W, n_windows);
  }
  for (; a < n_shells; ++a) {
    add_tile_row<1>(shells + a * row, windows, n_packs, is_first, sums + a * n_windows * W, n_windows);
  }
}

/// Packs of the next chunk when `left` of them remain: chunks of nearly equal size.
PANNA_HD int next_chunk(int left) {
  const int n_chunks = (left + chunk_packs - 1) / chunk_packs;
  return (left + n_chunks - 1) / n_chunks;
}

/// Shells times the triplets' weights.
template <class T>
[[gnu::noinline]] void chunk_weighted_shells(const DescriptorView<T> &d, const AtomView<T> &atom, int at, int n_packs,
                                             const Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  for (int p = 0; p < n_packs; ++p) {
    const V x = V::load(atom.shell_x + at + p * W), weight = V::load(atom.weight + at + p * W);
    T *place = scratch.shells + p * W;
    for_each_shell(d.shells, x, weight, [=](int a, V value) { value.store(place + a * row); });
  }
}

/// The block of features of one pair of species from its n packed triplets: `add_chunk(at, n_packs, is_first)` adds
/// those of one chunk to the sums of the grid.
template <class T, class AddChunk>
PANNA_HD void sum_grid(const DescriptorView<T> &d, int at, int n, const Scratch<T> &scratch, T *features,
                       AddChunk add_chunk) {
  constexpr int W = Pack<T>::width;
  if (n == 0) {
    for (int f = 0; f < d.n_angular; ++f) features[f] = T(0);
    return;
  }
  const int grid = d.shells.n * d.windows.n;
  bool is_first = true;
  for (int left = (n + W - 1) / W; left > 0; is_first = false) {
    const int n_packs = next_chunk(left);
    add_chunk(at, n_packs, is_first);
    at += n_packs * W;
    left -= n_packs;
  }
  if (!d.grid_of_function) {
    // Whole packs are written: beyond the block into the next one, which follows, or into the scratch at the end.
    sum_rows(scratch.sums, grid, 1, W, features);
    return;
  }
  sum_rows(scratch.sums, grid, 1, W, scratch.totals);
  for (int f = 0; f < d.n_angular; ++f) features[f] = scratch.totals[d.grid_of_function[f]];
}

template <class T>
void describe_pair(const DescriptorView<T> &d, const AtomView<T> &atom, int at, int n, const Scratch<T> &scratch,
                   T *features) {
  sum_grid(d, at, n, scratch, features, [&](int from, int n_packs, bool is_first) {
    chunk_sines(d.windows, atom.squared_sine + from, n_packs, scratch);
    chunk_windows(d.windows, atom.cosine + from, n_packs, scratch);
    chunk_weighted_shells(d, atom, from, n_packs, scratch);
    add_grid(d, scratch.shells, scratch.windows, n_packs, is_first, scratch.sums);
  });
}

template <class T>
void describe(const DescriptorView<T> &d, const AtomView<T> &atom, T *memory, T *features) {
  const Scratch<T> scratch(d, memory);
  describe_radial(d, atom, scratch, features);
  for_each_block(d, atom, [&](const Runs &runs, int at, int n, int feature) {
    pack_triplets(d, atom, runs, at);
    describe_pair(d, atom, at, n, scratch, features + feature);
  });
}

}  // namespace panna_plus::PANNA_ISA
