// From g = dE/dG back to the neighbours of one atom. The derivatives of G are summed up as they are
// made; nothing of the size of the Jacobian exists.
#pragma once

#include "cpu/panna_describe.h"
#include "math/radial_basis.h"

namespace panna_plus::PANNA_ISA {

/// Gradients along the unit vectors from the radial functions; sets gradient_x, _y, _z.
template <class T>
void contract_radial(const DescriptorView<T> &d, const AtomView<T> &atom, const T *g) {
  using V = Pack<T>;
  constexpr int W = V::width;
  for (int s = 0; s < d.n_species; ++s, g += d.n_radial) {
    for (int k = atom.start[s]; k < atom.start[s] + atom.n_total[s]; k += W) {
      const V r = V::load(atom.r + k);
      V value(0), slope(0);
      for_each_gaussian(d.radial, r, V(1), [&](int n, V gaussian) {
        const V term = V(g[n]) * gaussian;
        value += term;
        slope += shell_slope(d.radial, n, r, term);
      });
      const V along =
          math::cut_gaussian<V>({value, slope}, {V::load(atom.radial_cut + k), V::load(atom.radial_cut_slope + k)})
              .slope;
      (along * V::load(atom.x + k)).store(atom.gradient_x + k);
      (along * V::load(atom.y + k)).store(atom.gradient_y + k);
      (along * V::load(atom.z + k)).store(atom.gradient_z + k);
    }
  }
}

template <class T>
[[gnu::noinline]] void chunk_sine_slopes(const WindowView<T> &windows, const T *cosine, const T *squared_sine,
                                         int n_packs, const Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  for (int m = 0; m < windows.n_sines; ++m) {
    const V softening(windows.softening[m]), floor(windows.sine_floor);
    for (int p = 0; p < n_packs; ++p) {
      const V c = V::load(cosine + p * W), square = V::load(squared_sine + p * W);
      const auto sine = windows.needs_floor ? math::softened_sine(c, square, softening, floor)
                                            : math::softened_sine(c, square, softening);
      sine.value.store(scratch.sines + m * row + p * W);
      sine.slope.store(scratch.sine_slopes + m * row + p * W);
    }
  }
}

/// Window b of N packs and its derivative with respect to the cosine.
template <int N, class T>
PANNA_HD void pack_window_slopes(const WindowView<T> &windows, int b, const T *cosine, const Scratch<T> &scratch,
                                 int place) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  const T *sines = scratch.sines + windows.sine[b] * row + place;
  const T *sine_slopes = scratch.sine_slopes + windows.sine[b] * row + place;
  V base[N], powers[N];
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    base[p] = V(windows.offset[b]) + V(windows.along_cosine[b]) * V::load(cosine + p * W) +
              V(windows.along_sine[b]) * V::load(sines + p * W);
  }
  window_powers(windows, b, base, 1, powers);
  T *values = scratch.windows + b * row + place, *slopes = scratch.window_slopes + b * row + place;
#pragma GCC unroll 8
  for (int p = 0; p < N; ++p) {
    const V slope = V(windows.slope_along_cosine[b]) + V(windows.slope_along_sine[b]) * V::load(sine_slopes + p * W);
    (powers[p] * base[p]).store(values + p * W);
    (powers[p] * slope).store(slopes + p * W);
  }
}

template <class T>
[[gnu::noinline]] void chunk_window_slopes(const WindowView<T> &windows, const T *cosine, int n_packs,
                                           const Scratch<T> &scratch) {
  constexpr int W = Pack<T>::width;
  for (int b = 0; b < windows.n; ++b) {
    int p = 0;
    for (; p + 4 <= n_packs; p += 4) pack_window_slopes<4>(windows, b, cosine + p * W, scratch, p * W);
    for (; p + 2 <= n_packs; p += 2) pack_window_slopes<2>(windows, b, cosine + p * W, scratch, p * W);
    for (; p < n_packs; ++p) pack_window_slopes<1>(windows, b, cosine + p * W, scratch, p * W);
  }
}

template <class T>
[[gnu::noinline]] void chunk_shell_slopes(const ShellView<T> &shells, const T *x, int n_packs,
                                          const Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  for (int p = 0; p < n_packs; ++p) {
    const V at = V::load(x + p * W);
    T *values = scratch.shells + p * W, *slopes = scratch.shell_slopes + p * W;
    const T *factor = shells.slope_factor, *offset = shells.slope_offset;
    for_each_shell(shells, at, V(1), [=](int a, V value) {
      value.store(values + a * row);
      (value * (V(factor[a]) * at + V(offset[a]))).store(slopes + a * row);
    });
  }
}

/// sums over the grid of g times: shell window, shell window', shell' window.
template <class T>
struct GridSums {
  Pack<T> value, by_cosine, by_x;
};

/// Adds the part of NB windows for one pack.
template <int NB, class T>
PANNA_HD void add_contraction(const Scratch<T> &scratch, int n_shells, int n_windows, int b0, int at, const T *grid,
                              GridSums<T> &sums) {
  using V = Pack<T>;
  constexpr int row = chunk_packs * V::width;
  V by_shell[NB], by_slope[NB];
#pragma GCC unroll 8
  for (int b = 0; b < NB; ++b) by_shell[b] = by_slope[b] = V(0);
  for (int a = 0; a < n_shells; ++a) {
    const V shell = V::load(scratch.shells + a * row + at), slope = V::load(scratch.shell_slopes + a * row + at);
#pragma GCC unroll 8
    for (int b = 0; b < NB; ++b) {
      const V g(grid[a * n_windows + b0 + b]);
      by_shell[b] += g * shell;
      by_slope[b] += g * slope;
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < NB; ++b) {
    const int place = (b0 + b) * row + at;
    const V window = V::load(scratch.windows + place);
    sums.value += by_shell[b] * window;
    sums.by_cosine += by_shell[b] * V::load(scratch.window_slopes + place);
    sums.by_x += by_slope[b] * window;
  }
}

/// Replaces squared_sine, weight and shell_x of one pack by the three sums over the grid.
template <class T>
[[gnu::noinline]] void contract_pack(const DescriptorView<T> &d, const AtomView<T> &atom, int triplet, int at,
                                     const Scratch<T> &scratch, const T *grid) {
  using V = Pack<T>;
  // As many sums as the registers hold.
  constexpr int NB = PANNA_VECTOR_BYTES == 64 ? 8 : 4;
  GridSums<T> sums{V(0), V(0), V(0)};
  int b = 0;
  for (; b + NB <= d.windows.n; b += NB) {
    add_contraction<NB>(scratch, d.shells.n, d.windows.n, b, at, grid, sums);
  }
  for (; b + 2 <= d.windows.n; b += 2) add_contraction<2>(scratch, d.shells.n, d.windows.n, b, at, grid, sums);
  for (; b < d.windows.n; ++b) add_contraction<1>(scratch, d.shells.n, d.windows.n, b, at, grid, sums);
  sums.value.store(atom.squared_sine + triplet);
  sums.by_cosine.store(atom.weight + triplet);
  sums.by_x.store(atom.shell_x + triplet);
}

/// The views share the basis functions of a chunk; view k takes grid k of the `n_views` grids.
template <class T>
void contract_pair(const DescriptorView<T> &d, const AtomView<T> *views, int n_views, int at, int n,
                   const Scratch<T> &scratch, const T *grids, int grid_stride) {
  constexpr int W = Pack<T>::width;
  const AtomView<T> &atom = views[0];
  for (int left = (n + W - 1) / W; left > 0;) {
    const int n_packs = next_chunk(left);
    chunk_sine_slopes(d.windows, atom.cosine + at, atom.squared_sine + at, n_packs, scratch);
    chunk_window_slopes(d.windows, atom.cosine + at, n_packs, scratch);
    chunk_shell_slopes(d.shells, atom.shell_x + at, n_packs, scratch);
    for (int v = 0; v < n_views; ++v) {
      const T *const grid = grids + std::size_t(v) * grid_stride;
      for (int p = 0; p < n_packs; ++p) contract_pack(d, views[v], at + p * W, p * W, scratch, grid);
    }
    at += n_packs * W;
    left -= n_packs;
  }
}

/// Derivatives of the energy with respect to r_j, r_k and c of the triplets (j, k), (j, k + 1), ... from
/// the sums that contract_packs left. They vanish where k lies beyond the angular cutoff, whatever the
/// sums are: lanes beyond a run read those of the next one.
template <class T>
PANNA_HD math::TripletSlopes<Pack<T>> triplet_slopes(const DescriptorView<T> &d, const AtomView<T> &atom,
                                                     const Neighbor<T> &j, const Neighbor<T> &k, Pack<T> c, int at) {
  using V = Pack<T>;
  const V two(2), value = two * V::load(atom.squared_sine + at), cuts = two * j.cut * k.cut;
  const V by_cosine = cuts * V::load(atom.weight + at), by_x = cuts * V::load(atom.shell_x + at);
  const V by_j = value * k.cut * j.cut_slope, by_k = value * j.cut * k.cut_slope;
  if (!d.is_bp) return {V(0.5) * by_x + by_j, V(0.5) * by_x + by_k, by_cosine};
  const V side = sqrt(squared_opposite_side(j.r, k.r, c));
  const auto cut = math::cosine_cutoff(side, V(d.angular_cutoff));
  const V by_sum = by_x * cut.value;                                             // d/d(r_j^2 + r_k^2 + r_jk^2)
  const V by_side = by_sum + V(0.5) * value * j.cut * k.cut * cut.slope / side;  // d/d(r_jk^2), all in all
  return {two * (by_sum * j.r + by_side * (j.r - k.r * c)) + by_j * cut.value,
          two * (by_sum * k.r + by_side * (k.r - j.r * c)) + by_k * cut.value,
          by_cosine * cut.value - two * j.r * k.r * by_side};
}

template <class T>
PANNA_HD void add_gradient(const AtomView<T> &atom, int k, math::Vector3<Pack<T>> gradient) {
  (Pack<T>::load(atom.gradient_x + k) + gradient.x).store(atom.gradient_x + k);
  (Pack<T>::load(atom.gradient_y + k) + gradient.y).store(atom.gradient_y + k);
  (Pack<T>::load(atom.gradient_z + k) + gradient.z).store(atom.gradient_z + k);
}

/// Runs through the triplets once more and adds their gradients to both neighbours.
template <class T>
void add_gradients(const DescriptorView<T> &d, const AtomView<T> &atom, const Runs &runs, int at) {
  using V = Pack<T>;
  for (int j = runs.j_begin; j < runs.j_end; ++j) {
    const Neighbor<T> center = neighbor(atom, j);
    // The gradient of j is along * u_j + (sum of turn * u_k) / r_j.
    V along(0), turn_x(0), turn_y(0), turn_z(0);
    const int first = runs.first_k(j);
    for (int k = first; k < runs.k_end; k += V::width) {
      const Neighbor<T> other = neighbors_from(atom, k);
      const V c = V::load(atom.cosine + at + k - first);
      const auto slopes = triplet_slopes(d, atom, center, other, c, at + k - first);
      const V turn = slopes.cosine, turn_c = turn * c, turn_k = turn * other.inverse_r;
      along += slopes.r_j - turn_c * center.inverse_r;
      turn_x += turn * other.u.x;
      turn_y += turn * other.u.y;
      turn_z += turn * other.u.z;
      const V along_k = slopes.r_k - turn_c * other.inverse_r;
      add_gradient(atom, k, along_k * other.u + turn_k * center.u);
    }
    T sums[4];
    four_sums(along, turn_x, turn_y, turn_z, sums);
    const T inverse_r = atom.inverse_r[j];
    atom.gradient_x[j] += sums[0] * atom.x[j] + sums[1] * inverse_r;
    atom.gradient_y[j] += sums[0] * atom.y[j] + sums[2] * inverse_r;
    atom.gradient_z[j] += sums[0] * atom.z[j] + sums[3] * inverse_r;
    at += runs.k_end > first ? runs.k_end - first : 0;
  }
}

/// dE/dG of one pair of species, laid out like the grid: n_views of them.
template <class T>
const T *on_grid(const DescriptorView<T> &d, const T *block, int n_views, const Scratch<T> &scratch) {
  if (!d.grid_of_function) return block;
  const int grid = d.shells.n * d.windows.n;
  for (int k = 0; k < n_views * grid; ++k) scratch.totals[k] = T(0);
  for (int v = 0; v < n_views; ++v, block += d.n_features) {
    for (int f = 0; f < d.n_angular; ++f) scratch.totals[v * grid + d.grid_of_function[f]] += block[f];
  }
  return scratch.totals;
}

/// What the last run reads beyond the triplets must be finite; see pack_triplets.
template <class T>
PANNA_HD void close_triplets(const AtomView<T> &atom, int end) {
  using V = Pack<T>;
  for (T *sums : {atom.squared_sine, atom.shell_x, atom.weight}) V(0).store(sums + end);
}

template <class T>
void contract(const DescriptorView<T> &d, const AtomView<T> *views, int n_views, T *memory, const T *g) {
  const Scratch<T> scratch(d, memory, n_views);
  const int stride = d.grid_of_function ? d.shells.n * d.windows.n : d.n_features;
  for (int v = 0; v < n_views; ++v) contract_radial(d, views[v], g + std::size_t(v) * d.n_features);
  for_each_block(d, views[0], [&](const Runs &runs, int at, int n, int feature) {
    if (n == 0) return;
    for (int v = 1; v < n_views; ++v) close_triplets(views[v], at + n);
    contract_pair(d, views, n_views, at, n, scratch, on_grid(d, g + feature, n_views, scratch), stride);
    for (int v = 0; v < n_views; ++v) add_gradients(d, views[v], runs, at);
  });
}

}  // namespace panna_plus::PANNA_ISA
