// What the fast kernels of the panna family take: plain structs and pointers, the same for every
// instruction set. The caller owns all memory; kernels allocate nothing and use no standard library.
//
// The angular functions of one pair of species form a grid of shells (functions of a distance x) times
// windows (functions of the cosine c):
//   mbp:  shell exp(-eta_a (x - R_a)^2), x = (r_j + r_k)/2
//   bp:   shell exp(-eta_a x),           x = r_j^2 + r_k^2 + r_jk^2
// and G[a, b] = sum over triplets of weight * shell_a * window_b, where the weight is
//   mbp:  2 f(r_j) f(r_k);                                       bp: 2 f(r_j) f(r_k) f(r_jk).
#pragma once

#include <cstddef>

#include "math/activation.h"

namespace panna_plus {

/// Gaussians of x. Where `reach` > 0 the centers are equispaced and eta is one: only every
/// (2 reach + 1)-th function needs an exponential, its neighbours follow by multiplication:
///   B_(a+1) = B_a q up[a],  B_(a-1) = B_a / q down[a],  q = 2^(ratio (x - middle)).
/// Without centers (bp shells) the functions are exp(-eta x).
template <class T>
struct ShellView {
  int n = 0;
  int reach = 0;
  bool is_gaussian = true;
  const T *center = nullptr;
  const T *scale = nullptr;  // sqrt(eta log2 e), or eta log2 e without centers
  // d(value)/dx = value * (slope_offset + slope_factor x)
  const T *slope_factor = nullptr, *slope_offset = nullptr;
  T ratio = T(0), middle = T(0);
  const T *up = nullptr, *down = nullptr;
};

/// Windows F_b^zeta_b, see math/angular_window.h; several share one softened sine.
template <class T>
struct WindowView {
  int n = 0;
  int n_sines = 0;
  bool needs_floor = false;
  T sine_floor = T(0);
  const T *softening = nullptr;  // (n_sines)
  const int *sine = nullptr;     // (n) which of them
  const T *offset = nullptr, *along_cosine = nullptr, *along_sine = nullptr;
  const T *slope_along_cosine = nullptr, *slope_along_sine = nullptr;  // zeta times the two above
  // zeta = whole + fraction
  const T *fraction = nullptr;
  const int *whole = nullptr;
};

template <class T>
struct DescriptorView {
  bool is_bp = false;
  int n_species = 0, n_radial = 0, n_angular = 0, n_features = 0;
  T radial_cutoff = T(0), angular_cutoff = T(0);
  ShellView<T> radial, shells;
  WindowView<T> windows;
  // (n_angular) place of a function in the grid, a * windows.n + b; null: function f has place f
  const int *grid_of_function = nullptr;
};

/// Weights packed in tiles of `row_tile` outputs: [tile][input][row], zero rows at the end.
template <class T>
struct LayerView {
  int n_in = 0, n_out = 0;
  math::Activation activation = math::Activation::linear;
  const T *forward = nullptr;   // outputs are the layer's
  const T *backward = nullptr;  // outputs are the layer's inputs
  const T *bias = nullptr;      // (n_out rounded up to row_tile)
};

template <class T>
struct NetworkView {
  int n_layers = 0;
  const LayerView<T> *layers = nullptr;
  int widest = 0;    // largest layer, features included, rounded up to row_tile
  int n_slopes = 0;  // sum of the layers' widths, each rounded up
};

/// Orthonormal directions w_k in the space of features, packed like weights; what is left beside them has one weight.
template <class T>
struct QuadraticFormView {
  LayerView<T> directions;
  const T *weights = nullptr;  // (n_out rounded up to row_tile), zeros at the end
  T weight_beside = T(0);
};

/// The neighbours of one atom, sorted by species and inside a species by "closer than the angular
/// cutoff" first. A species occupies slots start[s] to start[s + 1], a multiple of the lanes with at
/// least one pack of padding at its end: padding lies beyond both cutoffs and adds nothing.
template <class T>
struct AtomView {
  const int *start = nullptr;      // (n_species + 1)
  const int *n_total = nullptr;    // (n_species)
  const int *n_angular = nullptr;  // (n_species)
  // (slots); x, y, z: the displacement, replaced by the unit vector
  T *x = nullptr, *y = nullptr, *z = nullptr;
  T *r = nullptr, *inverse_r = nullptr;
  T *radial_cut = nullptr, *radial_cut_slope = nullptr, *angular_cut = nullptr, *angular_cut_slope = nullptr;
  T *gradient_x = nullptr, *gradient_y = nullptr, *gradient_z = nullptr;
  // Triplets of each pair of species, dense; (n_pairs + 1) starts with room for two more packs per pair.
  const int *triplet_start = nullptr;
  T *cosine = nullptr, *squared_sine = nullptr, *shell_x = nullptr, *weight = nullptr;
};

/// How fast the quantities of an AtomView change when its displacements do; all memory beside the AtomView's.
template <class T>
struct TangentView {
  // (slots), 0 in padding; x, y, z: of the displacement, replaced by that of the unit vector; r: of the distance
  T *x = nullptr, *y = nullptr, *z = nullptr, *r = nullptr;
  // (triplets); of the cosine and of shell_x both times the weight, and of the weight itself
  T *cosine = nullptr, *shell_x = nullptr, *weight = nullptr;
};

template <class T>
struct PannaKernels {
  const char *name;
  int lanes;
  int block;     // atoms that one call of `network` takes
  int row_tile;  // see LayerView
  /// Numbers of scratch memory that describe, contract and tangent need; `n_contracted`: see contract.
  std::size_t (*scratch_size)(const DescriptorView<T> &, int n_contracted);
  /// Unit vectors, distances and cutoff functions of all slots.
  void (*prepare)(const DescriptorView<T> &, const AtomView<T> &);
  /// features (n_features + lanes): G of one atom; fills the triplets. The last `lanes` are scratch.
  void (*describe)(const DescriptorView<T> &, const AtomView<T> &, T *scratch, T *features);
  /// The triplets alone, for contract without describe.
  void (*fill_triplets)(const DescriptorView<T> &, const AtomView<T> &);
  /// gradient_x, _y, _z of all slots from g = dE/dG for n energies of one atom, g (n, n_features): each has a view,
  /// which shares what the kernels above filled but for its gradients, squared_sine, shell_x and weight. Those of the
  /// first hold the triplets and are overwritten.
  void (*contract)(const DescriptorView<T> &, const AtomView<T> *views, int n, T *scratch, const T *g);
  /// features (n_features + lanes): the change of G with the displacements' tangents; fills the triplets of
  /// both views. The last `lanes` are scratch.
  void (*tangent)(const DescriptorView<T> &, const AtomView<T> &, const TangentView<T> &, T *scratch, T *features);
  /// Energies and their derivatives of a block: x (widest, block) holds the scaled features and
  /// receives dE/dx; y (widest, block) and slopes (n_slots, block) are scratch; energies (block).
  void (*network)(const NetworkView<T> &, T *x, T *y, T *slopes, T *energies);
  /// out (block) = sum_k weights[k] (w_k . x)^2 + weight_beside (|x|^2 - sum_k (w_k . x)^2), x (n_in, block).
  void (*quadratic_form)(const QuadraticFormView<T> &, const T *x, T *out);
};

}  // namespace panna_plus
