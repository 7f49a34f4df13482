// What the fast kernels of the energy terms take: plain structs and pointers, the same for every instruction set. The
// caller owns all memory; kernels allocate nothing and use no standard library.
#pragma once

#include "math/dispersion.h"
#include "math/electrostatics.h"

namespace panna_plus {

/// Numbers of an atom from its features, offset_k + outer_k . silu(inner x + bias): first that of the charge, then that
/// of the ratio, each over hidden units of its own. Sizes are rounded up to the lanes, with zeros.
template <class T>
struct HeadsView {
  int n_features = 0;       // not rounded
  int features_padded = 0;
  int n_hidden = 0;         // of both together
  int n_charge_hidden = 0;  // the first ones, those of the charge
  const T *forward = nullptr;   // (n_features, n_hidden)
  const T *backward = nullptr;  // (n_hidden, features_padded)
  const T *bias = nullptr;      // (n_hidden)
  const T *outer = nullptr;     // (S, n_hidden)
};

/// Atoms that go through the heads together.
constexpr int head_block = 4;

template <class T>
struct HeadsBlock {
  const T *const *features = nullptr;  // (head_block)
  const int *species = nullptr;        // (head_block)
  T *slopes = nullptr;                 // (head_block, n_hidden): outer times the derivative of silu
  T *values = nullptr;                 // (head_block, 2) without offsets
};

/// What depends on the model alone.
template <class T>
struct LongRangeView {
  bool has_charges = false, has_dispersion = false;
  T squared_bohr = T(1);  // of one angstrom
  T margin = T(0);        // of switches
  math::SmearedCoulomb<T> coulomb;
  math::OscillatorRadii<T> radii;
  math::SwitchRange<T> dispersion_range;
};

/// The neighbours of one centre, rounded up to the lanes with some that have neither charge nor dispersion.
template <class T>
struct LongRangeNeighbors {
  int n = 0;  // rounded
  T *x = nullptr, *y = nullptr, *z = nullptr;  // displacements, angstrom
  T *charge = nullptr, *polarizability = nullptr;
  T *strength = nullptr;  // C_6 of the pair over the product of their polarizabilities
};

/// Sums over the neighbours of one centre, in e/angstrom for electrostatics and atomic units for dispersion.
struct LongRangeSums {
  double by_charge = 0.0;          // sum of q_j times the potential
  double dispersion = 0.0;         // sum of w (C_6 / R^6 + ...), positive
  double by_polarizability = 0.0;  // its derivative by that of the centre
  // eV/angstrom and eV: sums of (dE/dr) r / |r| and of their products with r, xx yy zz xy xz yz.
  double force[3] = {}, virial[6] = {};
};

template <class T>
struct EnergyTermsKernels {
  int lanes;
  void (*heads)(const HeadsView<T> &, const HeadsBlock<T> &);
  /// gradients (head_block, features_padded) from the derivatives (head_block, n_hidden) by what enters silu.
  void (*heads_back)(const HeadsView<T> &, const T *by_hidden, T *gradients);
  /// Of a centre with this charge (e) and polarizability (bohr^3).
  void (*pairs)(const LongRangeView<T> &, T charge, T polarizability, const LongRangeNeighbors<T> &, LongRangeSums &);
};

}  // namespace panna_plus
