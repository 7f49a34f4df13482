// SPDX-License-Identifier: GPL-2.0-or-later
//
// One step of pair_style panna_plus: gather, evaluate, agree, tally.
//
// Every rank makes the same collective calls in every step, also one without atoms; what goes wrong on a
// rank is kept as text until all of them know.
#include "pair_panna_plus.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

// Fractions of the shortest distance of two elements in the training data.
constexpr double warning_ratio = 0.95;
constexpr double stopping_ratio = 0.6;

/// False if some value is infinite or not a number. One pass that the compiler can vectorize.
bool all_finite(const double *values, std::size_t n)
{
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += values[i] * 0.0;
  return sum == 0.0;
}

double *zeroed(std::vector<double> &values, std::size_t n)
{
  values.assign(n, 0.0);
  return values.data();
}

/// to[0..n) += factor * from[0..n)
void add_scaled(double *to, const double *from, std::size_t n, double factor)
{
  for (std::size_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

PannaPlusResults nothing_seen()
{
  PannaPlusResults results{};
  results.closest_ratio = std::numeric_limits<double>::infinity();
  results.closest_center = results.closest_neighbor = -1;
  return results;
}

template <class T> double bytes(const std::vector<T> &values)
{
  return static_cast<double>(values.capacity() * sizeof(T));
}

}    // namespace

double Buffers::memory_usage() const
{
  return bytes(positions) + bytes(species) + bytes(centers) + bytes(forces) + bytes(atomic_energies) +
      bytes(atomic_virials) + bytes(centroid_virials);
}

void PairPannaPlus::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  const double scale = common_scale();
  uncertainty_.begin_step(lmp, eflag_global != 0);
  PannaPlusResults results = nothing_seen();
  const std::string complaint = evaluate(results);
  stop_or_warn(complaint, results);
  if (!force->newton_pair) bring_ghosts_home();
  tally(results, scale);
  if (cvflag_atom) warn_of_flux();
  if (uncertainty_.is_asked()) finish_uncertainty(scale);
  hand_out_details(scale * units_.energy);
}

/// The forces of members also act on ghosts, and LAMMPS brings none of them home, newton on or off. Collective.
void PairPannaPlus::finish_uncertainty(double scale)
{
  for (int round = 0; round < uncertainty_.n_rounds(); ++round) traffic_.from_ghosts(uncertainty_.columns_home(round));
  uncertainty_.finish_step(lmp, scale * units_.energy, scale * units_.force(), buffers_.species,
                           details_.values(Uncertainty::extrapolation));
}

/// The factor of energy, forces and virial. `fix adapt` may set one per pair of types, but the energy of an atom is
/// one function of all its neighbors: only a factor that they share has a meaning. The same on all ranks.
double PairPannaPlus::common_scale() const
{
  const int n = atom->ntypes;
  int first = 0;
  for (int i = 1; i <= n; ++i)
    for (int j = i; j <= n; ++j) {
      if (species_of_type_[i] < 0 || species_of_type_[j] < 0) continue;
      if (first == 0) first = i;
      if (scale_[i][j] == scale_[first][first]) continue;
      error->all(FLERR,
                 "pair_style panna_plus: scale is " + std::to_string(scale_[first][first]) +
                     " for one pair of atom types and " + std::to_string(scale_[i][j]) + " for types " +
                     std::to_string(i) + " and " + std::to_string(j) + ": a many-body energy has no parts by pairs "
                     "of types, and can be scaled only as a whole; write 'pair panna_plus scale * * v_name' in "
                     "fix adapt");
    }
  return first == 0 ? 1.0 : scale_[first][first];
}

/// Fill the buffers and `results`. Never throws: returns what went wrong, for all ranks to hear.
std::string PairPannaPlus::evaluate(PannaPlusResults &results)
{
  PannaPlusNeighborhood atoms{};
  std::string complaint = prepare(atoms, results);
  // A rank that gives up here leaves the others waiting for its messages.
  if (model_in_use_->couples_ranks()) complaint = first_complaint(complaint, world);
  if (!complaint.empty()) return complaint;
  try {
    model_in_use_->compute(atoms, results);
    return fault_of(results, atoms.n_atoms);
  } catch (const std::exception &fault) {
    return described(fault);
  }
}

/// What needs no other rank. Never throws.
std::string PairPannaPlus::prepare(PannaPlusNeighborhood &atoms, PannaPlusResults &results)
{
  try {
    atoms = gather();
    results = wanted_results(atoms.n_atoms);
    return fault_in("position", atoms.positions, atoms.n_atoms);
  } catch (const std::exception &fault) {
    return described(fault);
  }
}

/// With what memory is taken for, and where.
std::string PairPannaPlus::described(const std::exception &fault) const
{
  int64_t n_pairs = 0;
  for (int k = 0; k < list->inum; ++k) n_pairs += list->numneigh[list->ilist[k]];
  return std::string("pair_style panna_plus: ") + fault.what() + " (rank " + std::to_string(comm->me) + ", step " +
      std::to_string(update->ntimestep) + ", " + std::to_string(atom->nlocal) + " atoms, " +
      std::to_string(atom->nghost) + " atoms around them, " + std::to_string(n_pairs) + " pairs in the neighbor list)";
}

PannaPlusNeighborhood PairPannaPlus::gather()
{
  const int n = atom->nlocal + atom->nghost;
  const double *positions = n > 0 ? atom->x[0] : nullptr;
  if (units_.length != 1.0 && n > 0) {
    buffers_.positions.resize(3 * static_cast<std::size_t>(n));
    std::transform(positions, positions + 3 * static_cast<std::size_t>(n), buffers_.positions.begin(),
                   [this](double x) { return x / units_.length; });
    positions = buffers_.positions.data();
  }
  // Types may change between two steps (fix atom/swap), so species are not kept with the neighbor list.
  buffers_.species.resize(n);
  for (int i = 0; i < n; ++i) buffers_.species[i] = species_of_type_[atom->type[i]];
  buffers_.centers.clear();
  for (int k = 0; k < list->inum; ++k)
    if (buffers_.species[list->ilist[k]] >= 0) buffers_.centers.push_back(list->ilist[k]);

  PannaPlusNeighborhood atoms{};
  atoms.n_atoms = n;
  atoms.positions = positions;
  atoms.species = buffers_.species.data();
  atoms.n_centers = static_cast<int64_t>(buffers_.centers.size());
  atoms.centers = buffers_.centers.data();
  atoms.n_neighbors = list->numneigh;
  atoms.neighbors = list->firstneigh;
  atoms.neighbor_mask = NEIGHMASK;
  atoms.n_threads = comm->nthreads;
  atoms.generation = generation_.of(*neighbor, buffers_.species, buffers_.centers);
  atoms.total_charge = options_.charge;
  atoms.unpaired_electrons = options_.spin;
  if (model_in_use_->couples_ranks()) atoms.exchange = traffic_.exchange(options_.halo_in_use());
  return atoms;
}

PannaPlusResults PairPannaPlus::wanted_results(int64_t n_atoms)
{
  const auto n = static_cast<std::size_t>(n_atoms);
  PannaPlusResults results = nothing_seen();
  results.forces = zeroed(buffers_.forces, 3 * n);
  if (eflag_atom) results.atomic_energies = zeroed(buffers_.atomic_energies, n);
  if (vflag_atom) results.atomic_virials = zeroed(buffers_.atomic_virials, 6 * n);
  if (cvflag_atom) results.centroid_virials = zeroed(buffers_.centroid_virials, 9 * n);
  uncertainty_.request(results, n);
  request_details(results, n_atoms);
  return results;
}

/// Once, in the first step that asks for centroid virials.
void PairPannaPlus::warn_of_flux()
{
  if (warned_of_flux_ || !model_in_use_->has_messages()) return;
  warned_of_flux_ = true;
  if (comm->me == 0)
    error->warning(FLERR,
                   "pair_style panna_plus: centroid virials of a model with messages are an approximation, and a heat "
                   "flux made of them may be off by a third or more: what a pair does to energies of atoms further away "
                   "counts as if it were done to its own. Their sum, the virial, is exact. This warning is printed once");
}

/// Names the first atom with a value that is not finite among (n, 3) values; empty if all are.
std::string PairPannaPlus::fault_in(const char *what, const double *values, int64_t n_atoms) const
{
  const auto n = 3 * static_cast<std::size_t>(n_atoms);
  if (all_finite(values, n)) return {};
  const auto at = std::find_if(values, values + n, [](double value) { return !std::isfinite(value); });
  return std::string("pair_style panna_plus: the ") + what + " of " + atom_name((at - values) / 3) +
      " is not a finite number at step " + std::to_string(update->ntimestep) +
      ": look for overlapping atoms or a time step that is too long";
}

std::string PairPannaPlus::fault_of(const PannaPlusResults &results, int64_t n_atoms) const
{
  const std::string fault = fault_in("force", results.forces, n_atoms);
  if (!fault.empty()) return fault + closest_pair_text(results);
  if (std::isfinite(results.energy) && all_finite(results.virial, 6)) return {};
  return "pair_style panna_plus: the energy is not a finite number at step " + std::to_string(update->ntimestep) +
      closest_pair_text(results);
}

/// Collective: stop on all ranks if one of them has a reason; warn once about short distances and low ratios.
void PairPannaPlus::stop_or_warn(const std::string &complaint, const PannaPlusResults &results)
{
  const Verdict verdict = agree(complaint, results.closest_ratio, lowest_ratio(), world);
  if (verdict.complaining_rank >= 0) error->all(FLERR, text_of_rank(complaint, verdict.complaining_rank, world));
  warn_of_ratios(verdict.lowest_ratio);
  if (!options_.guard || verdict.closest_ratio >= warning_ratio) return;
  const bool stop = verdict.closest_ratio < stopping_ratio;
  if (warned_ && !stop) return;

  const int rank = first_rank_with(results.closest_ratio == verdict.closest_ratio, world);
  char limit[64];
  std::snprintf(limit, sizeof limit, "%.3f of", verdict.closest_ratio);
  const std::string pair = text_of_rank(closest_pair_text(results), rank, world);
  const std::string text = "pair_style panna_plus: step " + std::to_string(update->ntimestep) + pair + ", " + limit +
      " the shortest distance of these elements in the training data";
  if (stop)
    error->all(FLERR, text + " (limit 0.6): the model knows nothing there. Check the structure and the time step; "
                             "'guard off' in pair_style turns this check off");
  if (comm->me == 0)
    error->warning(FLERR, text + " (limit 0.95): results may be unreliable. This warning is printed once; the "
                                 "run stops below 0.6");
  warned_ = true;
}

std::string PairPannaPlus::atom_name(int64_t index) const
{
  const std::string id = atom->tag_enable ? std::to_string(atom->tag[index]) : "(without id)";
  return "atom " + id + " (" + element_of_type_[atom->type[index]] + ")";
}

std::string PairPannaPlus::closest_pair_text(const PannaPlusResults &results) const
{
  if (results.closest_center < 0) return {};
  char distance[128];
  std::snprintf(distance, sizeof distance, " are %.4f angstrom apart (shortest in training: %.4f)",
                results.closest_distance, results.closest_distance / results.closest_ratio);
  return "; " + atom_name(results.closest_center) + " and " + atom_name(results.closest_neighbor) + distance;
}

/// With newton off LAMMPS does not send what we add to ghosts to their owners.
void PairPannaPlus::bring_ghosts_home()
{
  // comm_reverse_off is the room for all of them; what is packed is what travels.
  std::vector<Traffic::Columns> columns = {{buffers_.forces.data(), 3, 0, 3}};
  if (vflag_atom) columns.push_back({buffers_.atomic_virials.data(), 6, 0, 6});
  if (cvflag_atom) columns.push_back({buffers_.centroid_virials.data(), 9, 0, 9});
  traffic_.from_ghosts(columns);
}

int PairPannaPlus::pack_forward_comm(int n, int *atoms, double *buffer, int, int *)
{
  return traffic_.pack(n, atoms, buffer);
}

void PairPannaPlus::unpack_forward_comm(int n, int first, double *buffer)
{
  traffic_.unpack_copied(n, first, buffer);
}

int PairPannaPlus::pack_reverse_comm(int n, int first, double *buffer)
{
  return traffic_.pack(n, first, buffer);
}

void PairPannaPlus::unpack_reverse_comm(int n, int *atoms, double *buffer)
{
  traffic_.unpack_added(n, atoms, buffer);
}

/// Add to what other styles have put there (hybrid/overlay). With newton off the ghosts' rows have gone
/// home, and LAMMPS's own would be counted twice under `newton off on`.
void PairPannaPlus::tally(const PannaPlusResults &results, double scale)
{
  const double energy = scale * units_.energy;
  const std::size_t n = atom->nlocal + (force->newton_pair ? atom->nghost : 0);
  if (n > 0) add_scaled(atom->f[0], buffers_.forces.data(), 3 * n, scale * units_.force());
  if (eflag_global) eng_vdwl += energy * results.energy;
  if (vflag_global) add_scaled(virial, results.virial, 6, energy);
  if (n == 0) return;
  if (eflag_atom) add_scaled(eatom, buffers_.atomic_energies.data(), atom->nlocal, energy);
  if (vflag_atom) add_scaled(vatom[0], buffers_.atomic_virials.data(), 6 * n, energy);
  if (cvflag_atom) add_scaled(cvatom[0], buffers_.centroid_virials.data(), 9 * n, energy);
}

}    // namespace panna_plus_lammps
