// Triplets of one atom: its neighbours two by two, written densely for every pair of species.
#pragma once

#include "cpu/panna_kernels.h"
#include "cpu/simd/elementary.h"
#include "math/cutoff.h"
#include "math/triplet.h"

namespace panna_plus::PANNA_ISA {

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

/// Calls visit(j, first k, place of that triplet) for every j: triplets lie densely from `at` on. Returns their end.
template <class Visit>
PANNA_HD int for_each_run(const Runs &runs, int at, Visit visit) {
  for (int j = runs.j_begin; j < runs.j_end; ++j) {
    const int first = runs.first_k(j);
    visit(j, first, at);
    at += runs.k_end > first ? runs.k_end - first : 0;
  }
  return at;
}

/// Writes the triplets of a pair of species densely from `at` on. What a run writes beyond its end has
/// weight 0 and is overwritten by the next one.
template <class T>
void pack_triplets(const DescriptorView<T> &d, const AtomView<T> &atom, const Runs &runs, int at) {
  using V = Pack<T>;
  at = for_each_run(runs, at, [&](int j, int first, int place) {
    const Neighbor<T> center = neighbor(atom, j);
    for (int k = first; k < runs.k_end; k += V::width) {
      store_triplets(d, atom, center, neighbors_from(atom, k), place + k - first);
    }
  });
  V(0).store(atom.cosine + at);
  V(1).store(atom.squared_sine + at);
  V(1).store(atom.shell_x + at);
  V(0).store(atom.weight + at);
}

/// Calls visit(runs, place of the first triplet, number of triplets, first feature) for every pair of species.
template <class T, class Visit>
PANNA_HD void for_each_block(const DescriptorView<T> &d, const AtomView<T> &atom, Visit visit) {
  if (d.n_angular == 0) return;
  int feature = d.n_species * d.n_radial;
  for (int s = 0, pair = 0; s < d.n_species; ++s) {
    for (int t = s; t < d.n_species; ++t, ++pair, feature += d.n_angular) {
      const Runs runs = runs_of(atom, s, t);
      visit(runs, atom.triplet_start[pair], n_triplets(runs), feature);
    }
  }
}

template <class T>
void fill_triplets(const DescriptorView<T> &d, const AtomView<T> &atom) {
  for_each_block(d, atom, [&](const Runs &runs, int at, int, int) { pack_triplets(d, atom, runs, at); });
}

}  // namespace panna_plus::PANNA_ISA
