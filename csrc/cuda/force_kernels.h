// From the gradients of entries to forces and virials of atoms, and the sums over all centres.
#pragma once

#include "cuda/neighbor_kernels.h"

#include <cuda_runtime.h>

namespace panna_plus::cuda {

/// What forces are made of.
template <class T>
struct PairGradients {
  std::int64_t n_atoms;
  const double *positions;              // (n_atoms, 3)
  const T *gradients;                   // (entries, 3)
  const double *center_sums;            // (n_centers, 9), see contract_radial
  const std::int32_t *center_of_atom;  // (n_atoms) -1: no centre
};

/// Results of every atom; the virials may be null. Forces in eV/angstrom, signs as in Results.
struct AtomResults {
  double *forces;            // (n_atoms, 3)
  double *atomic_virials;    // (n_atoms, 6)
  double *centroid_virials;  // (n_atoms, 9)
};

/// Every atom gathers what the pairs that name it left: the same sums in the same order in every run.
template <class T>
void gather_forces(const PairGradients<T> &pairs, const ReverseView &reverse, const AtomResults &out,
                   cudaStream_t stream);

/// The same by atomic additions: no map of entries is needed, the order of the sums is not fixed. `out` is zero before.
template <class T>
void scatter_forces(const PairGradients<T> &pairs, const SlotView<T> &slots, const std::int32_t *centers,
                    const std::int32_t *neighbors, const AtomResults &out, cudaStream_t stream);

/// Sums over centres, in a fixed order.
struct CenterTotals {
  double energy, virial[6];
  double closest;              // least squared distance times closeness
  std::int64_t closest_center;  // its index, -1 without a pair
  std::int32_t closest_entry;
};

constexpr int centers_per_total = 1024;

/// totals: one for every centers_per_total centres.
void total_centers(std::int64_t n_centers, const double *energies, const double *center_sums, const double *closest,
                   const std::int32_t *closest_entry, CenterTotals *totals, cudaStream_t stream);

}  // namespace panna_plus::cuda
