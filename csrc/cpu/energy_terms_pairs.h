// Electrostatics and dispersion between one centre and its neighbours (lanes are neighbours).
#pragma once

#include "cpu/energy_terms_kernels.h"
#include "cpu/simd/special.h"

namespace panna_plus::PANNA_ISA {

using math::ValueSlope;

/// Packs whose sums are kept in the precision of the kernels before they go to double.
constexpr int packs_per_sum = 16;

/// What one pack of pairs gives.
template <class T>
struct PairPack {
  Pack<T> by_charge, dispersion, by_polarizability;
  Pack<T> radial;  // (dE/dr) / r of both halves of the pair, eV/angstrom^2
};

template <class T>
struct SumsPack {
  Pack<T> by_charge{0}, dispersion{0}, by_polarizability{0};
  Pack<T> force[3] = {Pack<T>(0), Pack<T>(0), Pack<T>(0)};
  Pack<T> virial[6] = {Pack<T>(0), Pack<T>(0), Pack<T>(0), Pack<T>(0), Pack<T>(0), Pack<T>(0)};
};

template <class T>
struct Distances {
  Pack<T> squared, r, inverse;
};

template <class T>
PANNA_HD void add_coulomb(const math::SmearedCoulomb<Pack<T>> &coulomb, const Distances<T> &d, Pack<T> charge,
                          Pack<T> other, Pack<T> margin, PairPack<T> &pair) {
  const ValueSlope<Pack<T>> potential = math::shifted_coulomb(coulomb, d.r, d.inverse, margin);
  pair.by_charge = other * potential.value;
  pair.radial += Pack<T>(math::coulomb_constant) * charge * other * potential.slope * d.inverse;
}

template <class T>
PANNA_HD void add_dispersion(const LongRangeView<T> &view, const Distances<T> &d, Pack<T> alpha, Pack<T> other,
                             Pack<T> strength, PairPack<T> &pair) {
  using V = Pack<T>;
  const math::SwitchRange<V> range{V(view.dispersion_range.start), V(view.dispersion_range.inverse_width)};
  const ValueSlope<V> end = math::smooth_switch(d.r, range, V(view.margin));
  const math::OscillatorRadii<V> radii{V(view.radii.van_der_waals), V(view.radii.damping)};
  const V scale(view.squared_bohr), half(0.5);
  // Kept from 0, where the seventh root has no slope.
  const V mean = larger(half * (alpha + other), V(1e-6));
  const math::DampedPowers<V> powers = math::damped_powers(radii, d.squared * scale, mean);
  const V c6 = strength * alpha * other;
  pair.dispersion = end.value * c6 * powers.value;
  pair.by_polarizability =
      end.value * (strength * other * powers.value + half * c6 * powers.by_polarizability);
  const V slope = end.slope * powers.value * d.inverse + V(2) * scale * end.value * powers.by_squared_distance;
  pair.radial += V(-math::hartree) * c6 * slope;
}

template <class T>
PANNA_HD void add_moments(Pack<T> x, Pack<T> y, Pack<T> z, Pack<T> radial, SumsPack<T> &sums) {
  const Pack<T> fx = radial * x, fy = radial * y, fz = radial * z;
  sums.force[0] += fx;
  sums.force[1] += fy;
  sums.force[2] += fz;
  sums.virial[0] += fx * x;
  sums.virial[1] += fy * y;
  sums.virial[2] += fz * z;
  sums.virial[3] += fx * y;
  sums.virial[4] += fx * z;
  sums.virial[5] += fy * z;
}

template <class T>
PANNA_HD void flush(const SumsPack<T> &packs, LongRangeSums &sums) {
  T few[4 + Pack<T>::width], moments[8 + Pack<T>::width];
  four_sums(packs.by_charge, packs.dispersion, packs.by_polarizability, packs.force[0], few);
  four_sums(packs.force[1], packs.force[2], packs.virial[0], packs.virial[1], moments);
  four_sums(packs.virial[2], packs.virial[3], packs.virial[4], packs.virial[5], moments + 4);
  sums.by_charge += double(few[0]);
  sums.dispersion += double(few[1]);
  sums.by_polarizability += double(few[2]);
  sums.force[0] += double(few[3]);
  for (int a = 1; a < 3; ++a) sums.force[a] += double(moments[a - 1]);
  for (int a = 0; a < 6; ++a) sums.virial[a] += double(moments[a + 2]);
}

template <bool has_charges, bool has_dispersion, class T>
void sum_pairs(const LongRangeView<T> &view, T charge, T polarizability, const LongRangeNeighbors<T> &neighbors,
               LongRangeSums &sums) {
  using V = Pack<T>;
  constexpr int W = V::width;
  const math::SmearedCoulomb<T> &c = view.coulomb;
  const math::SmearedCoulomb<V> coulomb{V(c.inverse_width), V(c.cutoff), V(c.potential_at_cutoff),
                                        V(c.slope_at_cutoff),
                                        {V(c.shift_range.start), V(c.shift_range.inverse_width)}};
  for (int first = 0; first < neighbors.n; first += packs_per_sum * W) {
    const int last = neighbors.n < first + packs_per_sum * W ? neighbors.n : first + packs_per_sum * W;
    SumsPack<T> packs;
    for (int k = first; k < last; k += W) {
      const V x = V::load(neighbors.x + k), y = V::load(neighbors.y + k), z = V::load(neighbors.z + k);
      const V squared = x * x + y * y + z * z, inverse = inverse_sqrt(squared);
      const Distances<T> d{squared, squared * inverse, inverse};
      PairPack<T> pair{V(0), V(0), V(0), V(0)};
      if constexpr (has_charges) {
        add_coulomb(coulomb, d, V(charge), V::load(neighbors.charge + k), V(view.margin), pair);
        packs.by_charge += pair.by_charge;
      }
      if constexpr (has_dispersion) {
        add_dispersion(view, d, V(polarizability), V::load(neighbors.polarizability + k),
                       V::load(neighbors.strength + k), pair);
        packs.dispersion += pair.dispersion;
        packs.by_polarizability += pair.by_polarizability;
      }
      add_moments(x, y, z, pair.radial, packs);
    }
    flush(packs, sums);
  }
}

template <class T>
void pairs(const LongRangeView<T> &view, T charge, T polarizability, const LongRangeNeighbors<T> &neighbors,
           LongRangeSums &sums) {
  if (view.has_charges && view.has_dispersion) {
    sum_pairs<true, true>(view, charge, polarizability, neighbors, sums);
  } else if (view.has_charges) {
    sum_pairs<true, false>(view, charge, polarizability, neighbors, sums);
  } else {
    sum_pairs<false, true>(view, charge, polarizability, neighbors, sums);
  }
}

}  // namespace panna_plus::PANNA_ISA
