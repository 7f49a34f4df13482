// SPDX-License-Identifier: GPL-2.0-or-later
#include "uncertainty.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "error.h"
#include "modify.h"
#include "mpi_symbols.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

constexpr const char *deviation = "force_deviation";
// Of the vector of compute pair: largest and mean deviation, then the energies of the members.
constexpr int first_energy = 2;
// What the pair style has room for in a message is 18 numbers per atom.
constexpr int members_per_round = 6;

/// Whether some `compute pair` with a vector is evaluated on this step.
bool is_vector_wanted(LAMMPS *lammps)
{
  const auto computes = lammps->modify->get_compute_by_style("pair");
  return std::any_of(computes.begin(), computes.end(), [lammps](Compute *compute) {
    return std::strcmp(compute->style, "pair") == 0 && compute->vector_flag &&
        compute->matchstep(lammps->update->ntimestep);
  });
}

}    // namespace

void Uncertainty::of_model(const Model *model)
{
  name_ = model ? model->name() : "";
  n_members_ = model ? model->n_members() : 1;
  has_extrapolation_ = model && model->has_detail(extrapolation);
  n_global_ = n_members_ > 1 ? first_energy + n_members_ + has_extrapolation_ : 0;
  // A compute that was defined for a larger committee still reads as many numbers as then.
  global_.resize(std::max<std::size_t>(global_.size(), n_global_));
  std::fill(global_.begin(), global_.end(), 0.0);
  step_ = -1;
  extrapolations_ = nullptr;
}

std::string Uncertainty::summary() const
{
  std::string text;
  if (n_members_ > 1) {
    const std::string last = std::to_string(first_energy + n_members_);
    text = "  committee of " + std::to_string(n_members_) +
        ": 'compute pair' gives 1 the largest and 2 the mean force deviation, 3 to " + last + " the members' energies";
    if (has_extrapolation_) text += ", " + std::to_string(n_global_) + " the largest extrapolation";
    text += "\n";
  }
  if (n_members_ > 1 || has_extrapolation_) {
    text += std::string("  'fix pair' gives per atom:") + (n_members_ > 1 ? " force_deviation" : "") +
        (has_extrapolation_ ? " extrapolation" : "") + "\n";
  }
  return text;
}

int *Uncertainty::flag(const std::string &name, LAMMPS *lammps)
{
  if (name == "force_deviation_flag") {
    if (n_members_ == 1)
      lammps->error->all(FLERR,
                         "pair_style panna_plus: force_deviation is asked of the model " + name_ +
                             ", which is evaluated as one model and not as a committee: merge several with "
                             "'panna-plus committee' or name several files in pair_coeff, and leave out backend "
                             "torch for merged ones, of which it knows only the mean");
    return &deviation_flag_;
  }
  if (name == "extrapolation_flag") {
    if (!has_extrapolation_)
      lammps->error->all(FLERR,
                         "pair_style panna_plus: extrapolation is asked of the model " + name_ +
                             ", which holds no statistics of its training data, or is evaluated by backend torch: "
                             "train it with this version of panna_plus, use backend native");
    return &extrapolation_flag_;
  }
  return nullptr;
}

bool Uncertainty::knows(const std::string &name)
{
  return name == deviation || name == extrapolation;
}

double *Uncertainty::per_atom(const std::string &name, LAMMPS *lammps)
{
  const bool is_deviation = name == deviation;
  // Outside of runs fix pair only wants to know of how many numbers it will be.
  if (lammps->update->whichflag == 0) return nullptr;
  const bool is_there = step_ == lammps->update->ntimestep && (is_deviation ? wants_members_ : wants_extrapolation_);
  if (!is_there)
    lammps->error->all(FLERR,
                       "pair_style panna_plus: fix pair reads " + name + " on step " +
                           std::to_string(lammps->update->ntimestep) + " without having asked for it: write 'fix ID "
                           "all pair N panna_plus " + name + " 1', with the flag 1 after the name");
  if (!is_deviation) return extrapolations_;
  // A rank without atoms has no memory to point to, and nobody reads it.
  if (deviations_.empty()) deviations_.resize(1);
  return deviations_.data();
}

void Uncertainty::begin_step(LAMMPS *lammps, bool is_energy_tallied)
{
  // The model may have been replaced since a fix asked for the address of its flag.
  if (deviation_flag_) flag("force_deviation_flag", lammps);
  if (extrapolation_flag_) flag("extrapolation_flag", lammps);
  wants_global_ = n_global_ > 0 && is_energy_tallied && is_vector_wanted(lammps);
  wants_members_ = deviation_flag_ || wants_global_;
  wants_extrapolation_ = extrapolation_flag_ || (wants_global_ && has_extrapolation_);
  if (is_asked()) step_ = lammps->update->ntimestep;
  n_evaluations_ += wants_members_ ? 1.0 : 0.0;
}

void Uncertainty::request(PannaPlusResults &results, std::size_t n_atoms)
{
  if (!wants_members_) return;
  n_atoms_ = n_atoms;
  member_energies_.assign(n_members_, 0.0);
  member_forces_.assign(3 * n_atoms * n_members_, 0.0);
  results.member_energies = member_energies_.data();
  results.member_forces = member_forces_.data();
}

int Uncertainty::n_rounds() const
{
  return wants_members_ ? (n_members_ + members_per_round - 1) / members_per_round : 0;
}

std::vector<Traffic::Columns> Uncertainty::columns_home(int round)
{
  std::vector<Traffic::Columns> columns;
  const int first = round * members_per_round, last = std::min(first + members_per_round, n_members_);
  for (int m = first; m < last; ++m) columns.push_back({member_forces_.data() + 3 * n_atoms_ * m, 3, 0, 3});
  return columns;
}

void Uncertainty::finish_step(LAMMPS *lammps, double energy, double force, const std::vector<int32_t> &species,
                              double *extrapolations)
{
  extrapolations_ = extrapolations;
  if (wants_members_) find_deviations(lammps->atom->nlocal, std::fabs(force));
  if (wants_global_) fill_global(lammps, energy, species);
}

/// sqrt(mean over members of |F_m - F|^2) of every atom, F the mean of the F_m.
void Uncertainty::find_deviations(std::size_t n_local, double force)
{
  deviations_.assign(n_local, 0.0);
  for (std::size_t i = 0; i < n_local; ++i) {
    double sum = 0.0;
    for (int a = 0; a < 3; ++a) {
      double mean = 0.0;
      for (int m = 0; m < n_members_; ++m) mean += member_forces_[3 * (n_atoms_ * m + i) + a] / n_members_;
      for (int m = 0; m < n_members_; ++m) {
        const double difference = member_forces_[3 * (n_atoms_ * m + i) + a] - mean;
        sum += difference * difference;
      }
    }
    deviations_[i] = force * std::sqrt(sum / n_members_);
  }
}

/// LAMMPS sums the vector over ranks: energies are parts, what is no sum stands on the first rank alone.
void Uncertainty::fill_global(LAMMPS *lammps, double energy, const std::vector<int32_t> &species)
{
  double sums[2] = {}, largest[2] = {};
  for (std::size_t i = 0; i < deviations_.size(); ++i) {
    if (species[i] < 0) continue;
    sums[0] += deviations_[i];
    sums[1] += 1.0;
    largest[0] = std::max(largest[0], deviations_[i]);
    if (has_extrapolation_) largest[1] = std::max(largest[1], extrapolations_[i]);
  }
  MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, lammps->world);
  MPI_Allreduce(MPI_IN_PLACE, largest, 2, MPI_DOUBLE, MPI_MAX, lammps->world);
  const double here = lammps->comm->me == 0 ? 1.0 : 0.0;
  global_[0] = here * largest[0];
  global_[1] = here * (sums[1] > 0.0 ? sums[0] / sums[1] : 0.0);
  for (int m = 0; m < n_members_; ++m) global_[first_energy + m] = energy * member_energies_[m];
  if (has_extrapolation_) global_[first_energy + n_members_] = here * largest[1];
}

double Uncertainty::memory_usage() const
{
  double n = 0.0;
  for (const auto *values : {&member_energies_, &member_forces_, &deviations_, &global_})
    n += static_cast<double>(values->capacity());
  return n * sizeof(double);
}

}    // namespace panna_plus_lammps
