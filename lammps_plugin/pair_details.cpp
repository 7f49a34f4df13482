// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a model knows of atoms beside energies and forces: for computes by name, in atom->q, and Hirshfeld ratios that
// no dispersion should be made of.
#include "pair_panna_plus.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "update.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

// Below it the dispersion of an atom is no longer that of matter.
constexpr double lowest_credible_ratio = 0.3;
constexpr const char *ratios_name = "hirshfeld_ratios";
constexpr const char *charges_name = "charges";

}    // namespace

/// `fix pair` asks for the number of columns first, when there are no numbers yet.
void *PairPannaPlus::extract_peratom(const char *name, int &columns)
{
  columns = 0;
  return Uncertainty::knows(name) ? uncertainty_.per_atom(name, lmp) : details_.ask_for(name);
}

/// NAME_flag, which `fix pair` sets in steps in which it will take NAME.
int *PairPannaPlus::trigger_named(const char *name)
{
  const std::string text = name, end = "_flag";
  if (text.size() <= end.size() || text.compare(text.size() - end.size(), end.size(), end) != 0) return nullptr;
  return details_.trigger(text.substr(0, text.size() - end.size()));
}

void PairPannaPlus::request_details(PannaPlusResults &results, int64_t n_atoms)
{
  if (options_.charges) details_.want(charges_name);
  if (!warned_of_ratios_) details_.want(ratios_name);
  if (uncertainty_.wants_extrapolation()) details_.want(Uncertainty::extrapolation);
  const std::vector<PannaPlusDetail> &request = details_.request(n_atoms);
  results.details = request.data();
  results.n_details = static_cast<int32_t>(request.size());
}

void PairPannaPlus::hand_out_details(double energy)
{
  details_.finish(energy);
  if (!options_.charges) return;
  double *charges = details_.values(charges_name);
  for (const int32_t center : buffers_.centers) atom->q[center] = charges[center];
  traffic_.to_ghosts(atom->q, 1);
}

/// Infinite where the model has none.
double PairPannaPlus::lowest_ratio()
{
  double lowest = std::numeric_limits<double>::infinity();
  const double *ratios = warned_of_ratios_ ? nullptr : details_.values(ratios_name);
  if (!ratios) return lowest;
  for (const int32_t center : buffers_.centers) lowest = std::min(lowest, ratios[center]);
  return lowest;
}

/// Collective, once: how many atoms of which elements have Hirshfeld ratios that are too low.
void PairPannaPlus::warn_of_ratios(double lowest)
{
  if (warned_of_ratios_ || lowest >= lowest_credible_ratio) return;
  const std::vector<std::string> &elements = model_in_use_->elements();
  const double *ratios = details_.values(ratios_name);
  std::vector<double> counts(2 * elements.size(), 0.0);    // too low, all
  for (const int32_t center : buffers_.centers) {
    const auto species = static_cast<std::size_t>(buffers_.species[center]);
    counts[2 * species] += ratios[center] < lowest_credible_ratio;
    counts[2 * species + 1] += 1.0;
  }
  traffic_.sum(counts.data(), static_cast<int>(counts.size()));
  warned_of_ratios_ = true;
  if (comm->me != 0) return;
  std::string text;
  for (std::size_t k = 0; k < elements.size(); ++k)
    if (counts[2 * k] > 0.0)
      text += (text.empty() ? "" : ", ") + std::to_string(static_cast<bigint>(counts[2 * k])) + " of " +
          std::to_string(static_cast<bigint>(counts[2 * k + 1])) + " " + elements[k];
  char value[32];
  std::snprintf(value, sizeof value, "%.3f", lowest);
  error->warning(FLERR,
                 "pair_style panna_plus: step " + std::to_string(update->ntimestep) + ", Hirshfeld ratios below 0.3 "
                 "for " + text + " atoms (lowest " + value + "): their dispersion is far too weak. The published SO3LR "
                 "weights do this in bulk water. This warning is printed once");
}

}    // namespace panna_plus_lammps
