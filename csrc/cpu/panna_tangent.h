// From the tangents of the displacements to those of the features of one atom: the loops of panna_describe.h with two
// outer products in place of one. The Jacobian is never stored.
#pragma once

#include "cpu/panna_contract.h"

namespace panna_plus::PANNA_ISA {

/// Tangents of distances and unit vectors from those of the displacements.
template <class T>
void prepare_tangent(const DescriptorView<T> &d, const AtomView<T> &atom, const TangentView<T> &tangent) {
  using V = Pack<T>;
  for (int s = 0; s < atom.start[d.n_species]; s += V::width) {
    const math::Vector3<V> u{V::load(atom.x + s), V::load(atom.y + s), V::load(atom.z + s)};
    const math::Vector3<V> t{V::load(tangent.x + s), V::load(tangent.y + s), V::load(tangent.z + s)};
    const V along = math::dot(u, t);
    const math::Vector3<V> turn = V::load(atom.inverse_r + s) * (t - along * u);
    along.store(tangent.r + s);
    turn.x.store(tangent.x + s);
    turn.y.store(tangent.y + s);
    turn.z.store(tangent.z + s);
  }
}

template <class T>
void tangent_radial(const DescriptorView<T> &d, const AtomView<T> &atom, const TangentView<T> &tangent,
                    const Scratch<T> &scratch, T *features) {
  using V = Pack<T>;
  constexpr int row = chunk_packs * V::width;
  sum_radial(d, atom, scratch, features, [&](int slot, T *place) {
    const V r = V::load(atom.r + slot);
    const math::ValueSlope<V> cut{V::load(atom.radial_cut + slot), V::load(atom.radial_cut_slope + slot)};
    for_each_gaussian(d.radial, r, V::load(tangent.r + slot), [&](int n, V value) {
      math::cut_gaussian<V>({value, shell_slope(d.radial, n, r, value)}, cut).slope.store(place + n * row);
    });
  });
}

/// Tangents of one neighbor: of its unit vector and of its distance.
template <class T>
struct NeighborTangent {
  math::Vector3<Pack<T>> u;
  Pack<T> r;
};

template <class T>
PANNA_HD NeighborTangent<T> neighbor_tangent(const TangentView<T> &tangent, int s) {
  using V = Pack<T>;
  return {{V(tangent.x[s]), V(tangent.y[s]), V(tangent.z[s])}, V(tangent.r[s])};
}

template <class T>
PANNA_HD NeighborTangent<T> neighbor_tangents_from(const TangentView<T> &tangent, int k) {
  using V = Pack<T>;
  return {{V::load(tangent.x + k), V::load(tangent.y + k), V::load(tangent.z + k)}, V::load(tangent.r + k)};
}

/// The tangents of the quantities that store_triplets wrote to the same place.
template <class T>
PANNA_HD void store_triplet_tangents(const DescriptorView<T> &d, const AtomView<T> &atom, const Neighbor<T> &j,
                                     const Neighbor<T> &k, const NeighborTangent<T> &t_j, const NeighborTangent<T> &t_k,
                                     const TangentView<T> &tangent, int at) {
  using V = Pack<T>;
  const V two(2), c = V::load(atom.cosine + at), weight = V::load(atom.weight + at);
  const V turn = math::dot(j.u, t_k.u) + math::dot(t_j.u, k.u);
  const V cuts = two * (j.cut_slope * t_j.r * k.cut + j.cut * k.cut_slope * t_k.r);
  (weight * turn).store(tangent.cosine + at);
  if (!d.is_bp) {
    (V(0.5) * weight * (t_j.r + t_k.r)).store(tangent.shell_x + at);
    cuts.store(tangent.weight + at);
    return;
  }
  const V side = sqrt(squared_opposite_side(j.r, k.r, c));
  const auto cut = math::cosine_cutoff(side, V(d.angular_cutoff));
  const V half_squares = j.r * t_j.r + k.r * t_k.r;
  const V half_square = half_squares - c * (t_j.r * k.r + j.r * t_k.r) - j.r * k.r * turn;  // of the opposite side
  (two * weight * (half_squares + half_square)).store(tangent.shell_x + at);
  (cuts * cut.value + two * j.cut * k.cut * cut.slope * half_square / side).store(tangent.weight + at);
}

/// Writes the tangents of the triplets that pack_triplets wrote.
template <class T>
void pack_triplet_tangents(const DescriptorView<T> &d, const AtomView<T> &atom, const TangentView<T> &tangent,
                           const Runs &runs, int at) {
  using V = Pack<T>;
  at = for_each_run(runs, at, [&](int j, int first, int place) {
    const Neighbor<T> center = neighbor(atom, j);
    const NeighborTangent<T> center_tangent = neighbor_tangent(tangent, j);
    for (int k = first; k < runs.k_end; k += V::width) {
      store_triplet_tangents(d, atom, center, neighbors_from(atom, k), center_tangent,
                             neighbor_tangents_from(tangent, k), tangent, place + k - first);
    }
  });
  V(0).store(tangent.cosine + at);
  V(0).store(tangent.shell_x + at);
  V(0).store(tangent.weight + at);
}

/// What multiplies the windows (shells) and their slopes (shell_slopes) in the tangent of the grid.
template <class T>
[[gnu::noinline]] void chunk_tangent_shells(const ShellView<T> &shells, const AtomView<T> &atom,
                                            const TangentView<T> &tangent, int at, int n_packs,
                                            const Scratch<T> &scratch) {
  using V = Pack<T>;
  constexpr int W = V::width, row = chunk_packs * W;
  for (int p = 0; p < n_packs; ++p) {
    const int from = at + p * W;
    const V x = V::load(atom.shell_x + from), by_weight = V::load(tangent.weight + from);
    const V by_x = V::load(tangent.shell_x + from), by_cosine = V::load(tangent.cosine + from);
    T *values = scratch.shells + p * W, *slopes = scratch.shell_slopes + p * W;
    const T *factor = shells.slope_factor, *offset = shells.slope_offset;
    for_each_shell(shells, x, V(1), [=](int a, V value) {
      (value * (by_weight + by_x * (V(factor[a]) * x + V(offset[a])))).store(values + a * row);
      (value * by_cosine).store(slopes + a * row);
    });
  }
}

template <class T>
void tangent_pair(const DescriptorView<T> &d, const AtomView<T> &atom, const TangentView<T> &tangent, int at, int n,
                  const Scratch<T> &scratch, T *features) {
  sum_grid(d, at, n, scratch, features, [&](int from, int n_packs, bool is_first) {
    chunk_sine_slopes(d.windows, atom.cosine + from, atom.squared_sine + from, n_packs, scratch);
    chunk_window_slopes(d.windows, atom.cosine + from, n_packs, scratch);
    chunk_tangent_shells(d.shells, atom, tangent, from, n_packs, scratch);
    add_grid(d, scratch.shells, scratch.windows, n_packs, is_first, scratch.sums);
    add_grid(d, scratch.shell_slopes, scratch.window_slopes, n_packs, false, scratch.sums);
  });
}

template <class T>
void tangent(const DescriptorView<T> &d, const AtomView<T> &atom, const TangentView<T> &tangents, T *memory,
             T *features) {
  const Scratch<T> scratch(d, memory);
  prepare_tangent(d, atom, tangents);
  tangent_radial(d, atom, tangents, scratch, features);
  for_each_block(d, atom, [&](const Runs &runs, int at, int n, int feature) {
    pack_triplets(d, atom, runs, at);
    pack_triplet_tangents(d, atom, tangents, runs, at);
    tangent_pair(d, atom, tangents, at, n, scratch, features + feature);
  });
}

}  // namespace panna_plus::PANNA_ISA
