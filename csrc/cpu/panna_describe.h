// From neighbours to the features of one atom.
#pragma once

#include "cpu/panna_shells.h"
#include "math/cutoff.h"
#include "math/triplet.h"

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

  static std::size_t size(const DescriptorView<T> &d) { return Scratch(d, nullptr).end_; }

  Scratch(const DescriptorView<T> &d, T *memory) : memory_(memory) {
    const int grid = d.shells.n * d.windows.n, n_sums = grid > d.n_radial ? grid : d.n_radial;
    sums = take(grid);
    totals = take(n_sums / W + 1);
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
std::size_t scratch_size(const DescriptorView<T> &d) {
  return Scratch<T>::size(d);
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

template <class T>
void describe_radial(const DescriptorView<T> &d, const AtomView<T> &atom, const Scratch<T> &scratch, T *features) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  for (int s = 0; s < d.n_species; ++s, features += d.n_radial) {
    for (int n = 0; n < d.n_radial; ++n) features[n] = T(0);
    const int begin = atom.start[s], end = begin + atom.n_total[s];
    for (int first = begin; first < end; first += row) {
      const int left = (end - first + W - 1) / W, n_packs = left < chunk_packs ? left : chunk_packs;
      for (int p = 0; p < n_packs; ++p) {
        const V r = V::load(atom.r + first + p * W), cut = V::load(atom.radial_cut + first + p * W);
        T *place = scratch.radial + p * W;
        for_each_gaussian(d.radial, r, cut, [=](int n, V value) { value.store(place + n * row); });
      }
      sum_rows(scratch.radial, d.n_radial, n_packs, row, scratch.totals);
      for (int n = 0; n < d.n_radial; ++n) features[n] += scratch.totals[n];
    }
  }
}

/// One neighbour j in all lanes.
template <class T>
struct Neighbor {
  using V = Pack<T>;
  math::Vector3<V> u;
  V r, inverse_r, cut, cut_slope;
};

template <class T>
PANNA_HD Neighbor<T> neighbor(const AtomView<T> &atom, int s) {
  using V = Pack<T>;
  return {{V(atom.x[s]), V(atom.y[s]), V(atom.z[s])},
          V(atom.r[s]),
          V(atom.inverse_r[s]),
          V(atom.angular_cut[s]),
          V(atom.angular_cut_slope[s])};
}

/// Neighbours k, k + 1, ...: one per lane.
template <class T>
PANNA_HD Neighbor<T> neighbors_from(const AtomView<T> &atom, int k) {
  using V = Pack<T>;
  return {{V::load(atom.x + k), V::load(atom.y + k), V::load(atom.z + k)},
          V::load(atom.r + k),
          V::load(atom.inverse_r + k),
          V::load(atom.angular_cut + k),
          V::load(atom.angular_cut_slope + k)};
}

/// r_j^2 + r_k^2 - 2 r_j r_k c, kept away from 0 where its root has no slope.
template <class V>
PANNA_HD V squared_opposite_side(V r_j, V r_k, V c) {
  return larger(r_j * r_j + r_k * r_k - V(2) * r_j * r_k * c, V(1e-12));
}

template <class T>
PANNA_HD void store_triplets(const DescriptorView<T> &d, const AtomView<T> &atom, const Neighbor<T> &j,
                             const Neighbor<T> &k, int at) {
  using V = Pack<T>;
  const V c = larger(smaller(math::dot(j.u, k.u), V(1)), V(-1));
  c.store(atom.cosine + at);
  if constexpr (sizeof(T) == 4) {
    // 1 - c^2 would lose half the digits of a nearly straight angle.
    const auto normal = math::cross(j.u, k.u);
    math::dot(normal, normal).store(atom.squared_sine + at);
  } else {
    (V(1) - c * c).store(atom.squared_sine + at);
  }
  const V cuts = V(2) * j.cut * k.cut;
  if (d.is_bp) {
    const V squared = squared_opposite_side(j.r, k.r, c);
    (j.r * j.r + k.r * k.r + squared).store(atom.shell_x + at);
    (cuts * math::cosine_cutoff(sqrt(squared), V(d.angular_cutoff)).value).store(atom.weight + at);
  } else {
    (V(0.5) * (j.r + k.r)).store(atom.shell_x + at);
    cuts.store(atom.weight + at);
  }
}

/// The runs of triplets of one pair of species: for every j the k that follow in memory.
struct Runs {
  bool same;
  int j_begin, j_end, k_begin, k_end;

  PANNA_HD int first_k(int j) const { return same ? j + 1 : k_begin; }
};

template <class T>
PANNA_HD Runs runs_of(const AtomView<T> &atom, int s, int t) {
  // Long runs fill the lanes better: the species with more neighbours is k.
  if (s != t && atom.n_angular[s] > atom.n_angular[t]) {
    const int swapped = s;
    s = t;
    t = swapped;
  }
  return {s == t, atom.start[s], atom.start[s] + atom.n_angular[s], atom.start[t], atom.start[t] + atom.n_angular[t]};
}

PANNA_HD int n_triplets(const Runs &runs) {
  const int n_j = runs.j_end - runs.j_begin, n_k = runs.k_end - runs.k_begin;
  return runs.same ? n_j * (n_j - 1) / 2 : n_j * n_k;
}

/// Writes the triplets of a pair of species densely from `at` on. What a run writes beyond its end has
/// weight 0 and is overwritten by the next one.
template <class T>
void pack_triplets(const DescriptorView<T> &d, const AtomView<T> &atom, const Runs &runs, int at) {
  using V = Pack<T>;
  for (int j = runs.j_begin; j < runs.j_end; ++j) {
    const Neighbor<T> center = neighbor(atom, j);
    const int first = runs.first_k(j);
    for (int k = first; k < runs.k_end; k += V::width) {
      store_triplets(d, atom, center, neighbors_from(atom, k), at + k - first);
    }
    at += runs.k_end > first ? runs.k_end - first : 0;
  }
  V(0).store(atom.cosine + at);
  V(1).store(atom.squared_sine + at);
  V(1).store(atom.shell_x + at);
  V(0).store(atom.weight + at);
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
[[gnu::noinline]] void add_grid(const DescriptorView<T> &d, int n_packs, bool is_first, const Scratch<T> &scratch) {
  constexpr int W = Pack<T>::width, row = chunk_packs * W;
  const int n_shells = d.shells.n, n_windows = d.windows.n;
  int a = 0;
  for (; a + tile_shells <= n_shells; a += tile_shells) {
    add_tile_row<tile_shells>(scratch.shells + a * row, scratch.windows, n_packs, is_first,
                              scratch.sums + a * n_windows * W, n_windows);
  }
  for (; a < n_shells; ++a) {
    add_tile_row<1>(scratch.shells + a * row, scratch.windows, n_packs, is_first, scratch.sums + a * n_windows * W,
                    n_windows);
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

/// The block of features of one pair of species from its n packed triplets.
template <class T>
void describe_pair(const DescriptorView<T> &d, const AtomView<T> &atom, int at, int n, const Scratch<T> &scratch,
                   T *features) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const int grid = d.shells.n * d.windows.n;
  bool is_first = true;
  for (int left = (n + W - 1) / W; left > 0; is_first = false) {
    const int n_packs = next_chunk(left);
    chunk_sines(d.windows, atom.squared_sine + at, n_packs, scratch);
    chunk_windows(d.windows, atom.cosine + at, n_packs, scratch);
    chunk_weighted_shells(d, atom, at, n_packs, scratch);
    add_grid(d, n_packs, is_first, scratch);
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
void describe(const DescriptorView<T> &d, const AtomView<T> &atom, T *memory, T *features) {
  const Scratch<T> scratch(d, memory);
  describe_radial(d, atom, scratch, features);
  if (d.n_angular == 0) return;
  T *block = features + d.n_species * d.n_radial;
  for (int s = 0, pair = 0; s < d.n_species; ++s) {
    for (int t = s; t < d.n_species; ++t, ++pair, block += d.n_angular) {
      const Runs runs = runs_of(atom, s, t);
      const int n = n_triplets(runs);
      if (n > 0) {
        pack_triplets(d, atom, runs, atom.triplet_start[pair]);
        describe_pair(d, atom, atom.triplet_start[pair], n, scratch, block);
      } else {
        for (int f = 0; f < d.n_angular; ++f) block[f] = T(0);
      }
    }
  }
}

}  // namespace panna_plus::PANNA_ISA
