// SPDX-License-Identifier: GPL-2.0-or-later
//
// What LAMMPS may ask of a model beside energy and forces: how far the members of a committee disagree, and how far
// atoms are from the training data. `fix pair` and `compute pair` ask; steps on which they do not cost nothing.
#ifndef PANNA_PLUS_UNCERTAINTY_H
#define PANNA_PLUS_UNCERTAINTY_H

#include "engine.h"
#include "traffic.h"
#include "units.h"

#include "lammps.h"

#include <cstddef>
#include <string>
#include <vector>

namespace panna_plus_lammps {

class Uncertainty {
 public:
  /// What models call the distance of an atom from their training data.
  static constexpr const char *extrapolation = "extrapolation";

  /// From now on of this model; without one there is nothing to ask for.
  void of_model(const Model *model);

  /// For the log: what can be asked for and where it is found; empty if there is nothing.
  std::string summary() const;

  /// `fix pair` sets the flag of a quantity on steps on which it wants it. Null for names that are not ours; stops if
  /// the model cannot give the quantity.
  int *flag(const std::string &name, LAMMPS_NS::LAMMPS *lammps);

  /// On how many steps members were evaluated, as the library interface of LAMMPS reads numbers.
  double *n_evaluations() { return &n_evaluations_; }

  /// Whether this is the name of a quantity that is found here.
  static bool knows(const std::string &name);

  /// Where `fix pair` finds a quantity that is known here, one number per atom. Null outside of runs; stops if it was
  /// not asked for on this step.
  double *per_atom(const std::string &name, LAMMPS_NS::LAMMPS *lammps);

  /// What `compute pair` reads: a vector of so many numbers that are summed over ranks. The place may change only in
  /// of_model.
  int n_global() const { return n_global_; }
  double *global() { return global_.empty() ? nullptr : global_.data(); }

  /// At the beginning of a step: who wants what. The same on all ranks.
  void begin_step(LAMMPS_NS::LAMMPS *lammps, bool is_energy_tallied);
  bool wants_extrapolation() const { return wants_extrapolation_; }
  bool is_asked() const { return wants_members_ || wants_extrapolation_; }

  /// Adds members to a request if they are wanted; their memory is ours and zero.
  void request(PannaPlusResults &results, std::size_t n_atoms);

  /// The forces of a few members, which act on ghosts too, as columns that travel home in one message.
  std::vector<Traffic::Columns> columns_home(int round);
  int n_rounds() const;

  /// Collective: after the forces have come home, fill what was wanted. `force` is the factor to the script's units, as
  /// is `energy`; `species` tells the atoms that the model sees. `extrapolations` of the atoms stay where they are
  /// until the next step; null if they are not wanted.
  void finish_step(LAMMPS_NS::LAMMPS *lammps, double energy, double force, const std::vector<int32_t> &species,
                   double *extrapolations);

  double memory_usage() const;    ///< bytes

 private:
  void find_deviations(std::size_t n_local, double force);
  void fill_global(LAMMPS_NS::LAMMPS *lammps, double energy, const std::vector<int32_t> &species);

  std::string name_;
  int n_members_ = 1;
  bool has_extrapolation_ = false;
  int n_global_ = 0;
  int deviation_flag_ = 0, extrapolation_flag_ = 0;    // what fix pair writes to
  double n_evaluations_ = 0.0;
  bool wants_members_ = false, wants_extrapolation_ = false, wants_global_ = false;
  std::int64_t step_ = -1;    // the last one that was asked
  std::size_t n_atoms_ = 0;
  std::vector<double> member_energies_, member_forces_, deviations_, global_;
  double *extrapolations_ = nullptr;
};

}    // namespace panna_plus_lammps

#endif
