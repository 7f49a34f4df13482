// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the log says of the model that pair_coeff or read_restart opened.
#include "pair_panna_plus.h"

#include "card.h"
#include "charge_checks.h"
#include "coefficients.h"
#include "devices.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "utils.h"

#include <algorithm>
#include <cstdio>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

std::string decimal(double value)
{
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

void add_once(std::vector<std::string> &words, const std::string &word)
{
  if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
}

std::string about(const ModelFile &file)
{
  return file.path + ": family " + file.family + ", weights " + file.weights_hash.substr(0, 12) + "\n";
}

}    // namespace

void PairPannaPlus::print_summary() const
{
  const std::string devices = device_table(lmp, *model_);
  std::vector<std::string> citations_of_all;
  for (const ModelFile &file : model_->files())
    for (const std::string &citation : citations(card_entries(file.card))) add_once(citations_of_all, citation);
  for (const std::string &citation : citations_of_all)
    if (lmp->citeme) lmp->citeme->add("potential of the model file: " + citation + "\n\n" + citation + "\n\n");
  if (comm->me != 0) return;
  utils::logmesg(lmp, file_lines() + setting_lines(devices));
  warn_of_charge(lmp, *model_, options_);
}

std::string PairPannaPlus::file_lines() const
{
  const std::vector<ModelFile> &files = model_->files();
  if (files.size() == 1) return "panna_plus model " + about(files.front());
  std::string text = "panna_plus model, the mean of " + std::to_string(files.size()) + " files:\n";
  for (const ModelFile &file : files) text += "  " + about(file);
  return text;
}

std::string PairPannaPlus::setting_lines(const std::string &devices) const
{
  std::string text = "  types:";
  for (int type = 1; type <= atom->ntypes; ++type)
    text += (type > 1 ? ", " : " ") + std::to_string(type) + " = " + element_of_type_[type];
  text += "\n  cutoff " + decimal(model_->cutoff()) + " angstrom, precision " + options_.precision_name() +
      ", guard " + (options_.guard ? "on" : "off") + ", backend " + options_.backend_name() +
      ", device " + (devices.empty() ? "cpu" : "cuda") + "\n" + devices;
  if (!no_cuda_.empty()) text += "  not on CUDA: " + no_cuda_ + "\n";
  text += system_lines();
  const bool is_alone = model_->files().size() == 1;
  for (const ModelFile &file : model_->files())
    for (const std::string &line : error_lines(card_entries(file.card)))
      text += "  mean absolute errors" + (is_alone ? "" : " of " + file.path) + ", " + line + "\n";
  text += uncertainty_.summary();
  return text + "  units " + units_.style + ": 1 angstrom = " + decimal(units_.length) + ", 1 eV = " +
      decimal(units_.energy) + "\n";
}

/// What concerns the system as a whole, where the model looks at it.
std::string PairPannaPlus::system_lines() const
{
  std::string text;
  if (model_->has_messages())
    text += "  halo " + halo_name(options_.halo_in_use()) + ", energies reach " + decimal(model_->reach()) +
        " angstrom\n";
  const std::string words = system_words();
  return words.empty() ? text : text + "  " + words + "\n";
}

std::string PairPannaPlus::system_words() const
{
  std::vector<std::string> words;
  if (model_->uses_charge()) words.push_back("charge " + decimal(options_.charge));
  if (model_->uses_spin()) words.push_back("spin " + decimal(options_.spin));
  const double given[2] = {options_.long_range_cutoff / units_.length, options_.damping / units_.length};
  const char *names[2] = {"lr_cutoff ", "damping "};
  for (const ModelFile &file : model_->files()) {
    const auto card = card_entries(file.card);
    const double own[2] = {long_range_cutoff(card), dispersion_damping(card)};
    for (int k = 0; k < 2; ++k)
      if (own[k] > 0.0) add_once(words, names[k] + decimal(given[k] > 0.0 ? given[k] : own[k]) + " angstrom");
  }
  if (model_->has_detail("charges")) words.push_back(std::string("charges ") + (options_.charges ? "on" : "off"));
  return joined(words, ", ");
}

}    // namespace panna_plus_lammps
