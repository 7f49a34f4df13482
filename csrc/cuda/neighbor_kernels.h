// From list entries to sorted slots, and from atoms back to the entries that name them.
#pragma once

#include "cuda/views.h"
#include "math/vector3.h"

#include <cuda_runtime.h>

namespace panna_plus::cuda {

/// Entries given by positions and neighbour rows.
struct PositionSource {
  const double *positions;        // (n_atoms, 3)
  const std::int32_t *species;    // (n_atoms)
  const std::int32_t *centers;    // (n_centers) atoms
  const std::int32_t *neighbors;  // (entries) atoms
};

/// Entries given by displacements and species, which have one of two widths.
struct PairSource {
  const double *displacements;       // (entries, 3)
  const std::int32_t *species;       // (entries) or null
  const std::int64_t *long_species;  // (entries) or null
  const ErrorWord *row_error;        // of check_rows; with an error no entry is looked at
};

/// Centres whose row is not one between 0 and n_entries, or does not follow the one before, become errors.
void check_rows(const std::int64_t *start, std::int64_t n_centers, std::int64_t n_entries, ErrorWord *error,
                cudaStream_t stream);

/// What distances are compared with, and where that is recorded.
template <class T>
struct SortLimits {
  double squared_cutoff, squared_angular_cutoff;
  T radial_cutoff, angular_cutoff;
  // (S, S) 1 / squared shortest distance, 0 where there is none; null: nobody asks for the closest pair
  const double *closeness;
  double *closest;                     // (n_centers) least squared distance * closeness
  std::int32_t *closest_entry;         // (n_centers) the entry, counted from start; -1 without a pair
  const std::int32_t *center_species;  // (n_centers)
};

/// Fills the slots and sets `gradients` (entries, 3) of the entries beyond the cutoff to 0.
template <class T, class Source>
void sort_neighbors(const Source &source, const SortLimits<T> &limits, const SlotView<T> &slots, T *gradients,
                    ErrorWord *error, cudaStream_t stream);

/// Applies the mask to n_entries neighbours; the centres of those that are no row among n_atoms become errors.
void mask_neighbors(const std::int64_t *start, std::int64_t n_centers, std::int32_t mask, std::int64_t n_atoms,
                    std::int32_t *neighbors, ErrorWord *error, cudaStream_t stream);

/// For every atom the entries that name it, ascending.
struct ReverseView {
  const std::int64_t *start;     // (n_atoms + 1)
  const std::uint32_t *entries;  // (entries)
  const std::int32_t *centers;   // (entries) the atom that is the centre of each
};

/// counts (n_atoms), zeroed before: how often each atom is named.
void count_named(const std::int32_t *neighbors, std::int64_t n_entries, unsigned *counts, cudaStream_t stream);

struct ReverseArrays {
  const std::int64_t *start;
  unsigned *next;           // (n_atoms), zeroed before
  std::uint32_t *unsorted;  // (entries) scratch
  std::uint32_t *entries;
  std::int32_t *centers;
};

void fill_reverse(const std::int32_t *neighbors, std::int64_t n_entries, const std::int64_t *start,
                  const std::int32_t *centers, std::int64_t n_centers, std::int64_t n_atoms,
                  const ReverseArrays &reverse, cudaStream_t stream);

}  // namespace panna_plus::cuda
