// SPDX-License-Identifier: GPL-2.0-or-later
#include "charge_checks.h"

#include "card.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>

namespace panna_plus_lammps {
namespace {

using LAMMPS_NS::LAMMPS;

[[noreturn]] void refuse(LAMMPS *lammps, const std::string &text)
{
  lammps->error->all(FLERR, "pair_style panna_plus: " + text);
}

std::string decimal(double value)
{
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string limits(Range range)
{
  return decimal(range.low) + " to " + decimal(range.high);
}

bool is_within(double value, Range range)
{
  return value >= range.low && value <= range.high;
}

/// What all files were trained with that look at it. `key` and `is_used` are those of the total charge or of spins.
Range trained_by_all(const Model &model, const std::string &key, bool ModelFile::*is_used)
{
  const double infinity = std::numeric_limits<double>::infinity();
  Range common{-infinity, infinity};
  for (const ModelFile &file : model.files()) {
    if (!(file.*is_used)) continue;
    const Range own = trained_range(card_entries(file.card), key);
    common = {std::max(common.low, own.low), std::min(common.high, own.high)};
  }
  return common;
}

bool has_charges(const ModelFile &file)
{
  return std::find(file.details.begin(), file.details.end(), "charges") != file.details.end();
}

/// A program for libtorch has all its sums over atoms inside.
void check_ranks(LAMMPS *lammps, const Model &model, const Options &options)
{
  const bool has_sums = options.charge != 0.0 || options.spin != 0.0 ||
      std::any_of(model.files().begin(), model.files().end(), has_charges);
  if (options.backend != Backend::torch || lammps->comm->nprocs == 1 || !has_sums) return;
  refuse(lammps,
         "backend torch can add up the charges of all atoms on one rank only, found " +
             std::to_string(lammps->comm->nprocs) + " ranks: use one rank, or backend native");
}

}    // namespace

void check_charge_and_spin(LAMMPS *lammps, const Model &model, const Options &options)
{
  const std::string name = model.name() + " (family " + model.family() + ")";
  if (options.charge != 0.0 && !model.uses_charge())
    refuse(lammps, "charge " + decimal(options.charge) + " means nothing to the model " + name +
                       ", whose energy does not depend on the total charge: leave the option out");
  if (options.spin != 0.0 && !model.uses_spin())
    refuse(lammps, "spin " + decimal(options.spin) + " means nothing to the model " + name +
                       ", whose energy does not depend on unpaired electrons: leave the option out");
  const Range spins = trained_by_all(model, "spin", &ModelFile::uses_spin);
  if (model.uses_spin() && !is_within(options.spin, spins))
    refuse(lammps, "spin is " + decimal(options.spin) + " unpaired electrons; the model " + name +
                       " was trained with " + limits(spins) + " and means nothing beyond (0 is a "
                       "singlet: give the number of unpaired electrons, not the multiplicity)");
  if (options.charges && !model.has_detail("charges"))
    refuse(lammps, "charges on, but the model " + name + " has no partial charges: leave the option out");
  check_ranks(lammps, model, options);
}

void warn_of_charge(LAMMPS *lammps, const Model &model, const Options &options)
{
  if (!model.uses_charge()) return;
  const auto warn = [&](const std::string &text) {
    lammps->error->warning(FLERR, "pair_style panna_plus: " + text);
  };
  const Range charges = trained_by_all(model, "charge", &ModelFile::uses_charge);
  if (!is_within(options.charge, charges))
    warn("total charge " + decimal(options.charge) + ": no reference with a charge other than " + limits(charges) +
         " stands behind this model; compare with one before relying on it");
  const int *is_periodic = lammps->domain->periodicity;
  if (options.charge != 0.0 && is_periodic[0] && is_periodic[1] && is_periodic[2])
    warn("a periodic cell with a total charge: its partial charges add up to that charge and interact up to the "
         "cutoff, without a neutralizing background; energies of cells of different size or charge do not compare");
}

void check_atoms_have_charges(LAMMPS *lammps)
{
  if (lammps->atom->q_flag) return;
  refuse(lammps, "charges on, but atoms of this atom style have no charge: write 'atom_style charge' or 'full', or "
                 "'fix ID all property/atom q ghost yes' before read_data or after read_restart");
}

}    // namespace panna_plus_lammps
