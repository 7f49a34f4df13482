// What the kernels of the panna family take: plain structs by value, pointers to device memory.
//
// A list entry is one directed pair that the caller listed (a skin included); the entries of centre n are
// start[n] .. start[n + 1] - 1. A slot is an entry inside the cutoff: `sort_neighbors` sorts those of a centre by
// species and, inside a species, those inside the angular cutoff first, into slots start[n], start[n] + 1, ...
// Slots are found anew at every evaluation; the memory is that of the entries.
#pragma once

#include <cstdint>

#include "math/activation.h"
#include "math/shell.h"
#include "math/value_slope.h"

namespace panna_plus::cuda {

/// Numbers that are moved together.
template <class T>
struct alignas(2 * sizeof(T)) Two {
  T value, slope;
};
template <class T>
struct alignas(16) Four {
  T x, y, z, w;
};

template <class T>
struct SlotView {
  std::int64_t n_centers;
  int n_species;
  const std::int64_t *start;  // (n_centers + 1)
  // (n_centers, 2 n_species + 1) first slot, counted from start, of: species 0 near, species 0 far, 1 near, ...; end
  int *bins;
  Four<T> *direction;                // (slots) unit vector and distance
  Two<T> *radial_cut, *angular_cut;  // (slots) cutoff functions
  int *entry;                        // (slots) its entry, counted from start
};

/// Radial functions and the place of everything among the features of a centre.
template <class T>
struct DescriptorView {
  int n_species, n_radial, n_angular, n_features;
  T angular_cutoff;
  const math::Shell<T> *radial;  // (n_radial)
};

/// A part of the angular grid whose sums fit into registers: NA shells times NB windows. Which features a place of
/// it stands for (none: padding; several: functions that are the same) is listed in `functions`.
template <class T, int NA, int NB>
struct AngularTile {
  math::Shell<T> shells[NA];
  // windows F^zeta with F = offset + along_cosine c + along_sine sigma; zeta = whole + fraction
  T offset[NB], along_cosine[NB], along_sine[NB], softening[NB], fraction[NB];
  T slope_along_cosine[NB], slope_along_sine[NB];  // zeta times the two above
  int whole[NB];
  int common_whole;      // 0: they differ
  bool has_fraction;     // some fraction is not 0
  bool is_paired;        // windows 2m and 2m + 1 share their softening
  const int *first;      // (NA NB + 1) where the functions of a place begin
  const int *functions;  // (first[NA NB]), counted from the block of a pair of species
};

template <class T>
struct LayerView {
  int n_in, n_out;
  int forward_stride, backward_stride;  // n_out, n_in rounded up to the tile
  math::Activation activation;
  const T *forward;   // (n_in, forward_stride)
  const T *backward;  // (n_out, backward_stride)
  const T *bias;      // (forward_stride)
};

template <class T>
struct NetworkView {
  int first_layer, n_layers;
  const T *mean, *inverse_scale;  // (n_features)
  double reference, lone_atom;    // energy = reference + (value of the perceptron - lone_atom)
};

/// Least of (center << 8 | trouble); all bits set where nothing is wrong.
using ErrorWord = unsigned long long;

enum Trouble : int { bad_list = 1, bad_position = 2, too_many_neighbors = 3, bad_energy = 4 };

/// Slots of one centre: the number of its triplets must fit into an int.
constexpr int most_slots = 40000;
constexpr const char *crowded =
    " has more than 40000 neighbours inside the cutoff: check the positions and their unit (angstrom)";

}  // namespace panna_plus::cuda
