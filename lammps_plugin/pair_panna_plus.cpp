// SPDX-License-Identifier: GPL-2.0-or-later
//
// Script commands and setup of pair_style panna_plus.
#include "pair_panna_plus.h"

#include "card.h"
#include "devices.h"
#include "setup_checks.h"
#include "type_labels.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

std::string joined(const std::vector<std::string> &words)
{
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string decimal(double value)
{
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

/// Collective: what the first rank on which `body` throws has to say; empty if none does.
template <class Body> std::string complaint_of(Body body, MPI_Comm world)
{
  std::string complaint;
  try {
    body();
  } catch (const std::exception &fault) {
    complaint = fault.what();
  }
  return first_complaint(complaint, world);
}

}    // namespace

PairPannaPlus::PairPannaPlus(LAMMPS *lammps) : Pair(lammps)
{
  one_coeff = 1;
  manybody_flag = 1;
  single_enable = 0;
  restartinfo = 1;
  respa_enable = 0;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_AVAIL;
  // Newton off: forces, per-atom virial and centroid virial go home in one message. Hybrid styles read the
  // width only once, so it must be known here.
  comm_reverse_off = 3 + 6 + 9;
}

PairPannaPlus::~PairPannaPlus()
{
  if (!copymode) deallocate();
}

/// Also called on this same object when the script repeats pair_style: everything starts anew.
void PairPannaPlus::settings(int n_words, char **words)
{
  forget_model();
  warned_ = false;
  restarted_ = {};
  try {
    options_ = parse_options(std::vector<std::string>(words, words + n_words));
  } catch (const std::invalid_argument &fault) {
    error->all(FLERR, std::string(fault.what()));
  }
  check_launcher(lmp);
}

void PairPannaPlus::close_models()
{
  model_in_use_ = nullptr;
  model_.reset();
  double_model_.reset();
}

void PairPannaPlus::forget_model()
{
  close_models();
  deallocate();
}

void PairPannaPlus::coeff(int n_words, char **words)
{
  const bool by_label = n_words == 4 && std::strcmp(words[3], "labels") == 0;
  const bool all_types = n_words > 3 && std::strcmp(words[0], "*") == 0 && std::strcmp(words[1], "*") == 0;
  if (!all_types || (n_words != 3 + atom->ntypes && !by_label)) {
    const std::string n_types = std::to_string(atom->ntypes);
    error->all(FLERR,
               "pair_style panna_plus: found 'pair_coeff " +
                   joined(std::vector<std::string>(words, words + n_words)) +
                   "', expected a model file and one element (or NULL) for each of the " + n_types +
                   " atom types: 'pair_coeff * * model.pt El1 ... El" + n_types +
                   "', or under pair_style hybrid 'pair_coeff * * panna_plus model.pt El1 ... El" + n_types +
                   "' (the one word 'labels' in place of the elements takes them from labelmap)");
  }
  units_ = units_of(lmp);
  const std::string complaint = open_model(words[2]);
  if (!complaint.empty()) error->all(FLERR, "pair_style panna_plus: " + complaint);
  map_elements(by_label ? elements_by_label(lmp) : std::vector<std::string>(words + 3, words + n_words));
  print_summary();
  compare_with_restart();
}

/// Collective: every rank reads the file, and all of them get the same answer. Returns what went wrong.
std::string PairPannaPlus::open_model(const std::string &path)
{
  const std::string device = device_of_rank(lmp, options_);
  no_cuda_.clear();
  std::string complaint = open_on(device, path);
  if (complaint.empty() || options_.device != "auto" || device == "cpu") return complaint;
  // A family without kernels for CUDA, for instance.
  no_cuda_ = std::exchange(complaint, open_on("cpu", path));
  return complaint;
}

/// Collective, as open_model.
std::string PairPannaPlus::open_on(const std::string &device, const std::string &path)
{
  close_models();
  Options options = options_;
  options.device = device;
  std::string complaint = complaint_of([&] { model_ = std::make_unique<Model>(path, options); }, world);
  if (complaint.empty() && text_of_rank(model_->weights_hash(), 0, world) != model_->weights_hash())
    complaint = "the file " + path + " is not the same on all machines of this run";
  complaint = first_complaint(complaint, world);
  if (!complaint.empty()) close_models();
  return complaint;
}

void PairPannaPlus::map_elements(const std::vector<std::string> &names)
{
  check_labels(lmp, names);
  element_of_type_.assign(1, "");
  species_of_type_.assign(1, -1);
  for (const std::string &name : names) {
    const int species = model_->species_of(name);
    if (species < 0 && name != "NULL")
      error->all(FLERR,
                 "pair_style panna_plus: element '" + name + "' (atom type " +
                     std::to_string(species_of_type_.size()) + ") is not in the model " + model_->path() +
                     "; it knows: " + joined(model_->elements()) + " (and NULL for types that it shall not see)");
    element_of_type_.push_back(name);
    species_of_type_.push_back(species);
  }
  cutoff_ = model_->cutoff() * units_.length;
  mark_types();
}

/// Under a hybrid style LAMMPS gives us only pairs of types that are marked; alone, all must be marked.
void PairPannaPlus::mark_types()
{
  allocate();
  const bool alone = force->pair == this;
  for (int i = 1; i <= atom->ntypes; ++i)
    for (int j = 1; j <= atom->ntypes; ++j)
      setflag[i][j] = alone || (species_of_type_[i] >= 0 && species_of_type_[j] >= 0);
  for (int i = 1; i <= atom->ntypes; ++i) std::fill_n(scale_[i] + 1, atom->ntypes, 1.0);
}

void PairPannaPlus::allocate()
{
  if (allocated) return;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  memory->create(scale_, n, n, "pair:scale");
  allocated = 1;
}

void PairPannaPlus::deallocate()
{
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
  memory->destroy(scale_);
  allocated = 0;
}

void PairPannaPlus::print_summary() const
{
  const std::string devices = device_table(lmp, *model_);
  const auto card = card_entries(model_->card());
  for (const std::string &citation : citations(card))
    if (lmp->citeme) lmp->citeme->add("potential of the model file: " + citation + "\n\n" + citation + "\n\n");
  if (comm->me != 0) return;
  std::string text = "panna_plus model " + model_->path() + ": family " + model_->family() + ", weights " +
      model_->weights_hash().substr(0, 12) + "\n  types:";
  for (int type = 1; type <= atom->ntypes; ++type)
    text += (type > 1 ? ", " : " ") + std::to_string(type) + " = " + element_of_type_[type];
  text += "\n  cutoff " + decimal(model_->cutoff()) + " angstrom, precision " + options_.precision_name() +
      ", guard " + (options_.guard ? "on" : "off") + ", backend " + options_.backend_name() +
      ", device " + (devices.empty() ? "cpu" : "cuda") + "\n" + devices;
  if (!no_cuda_.empty()) text += "  not on CUDA: " + no_cuda_ + "\n";
  for (const std::string &line : error_lines(card))
    text += "  mean absolute errors (eV, angstrom), " + line + "\n";
  text += "  units " + units_.style + ": 1 angstrom = " + decimal(units_.length) + ", 1 eV = " +
      decimal(units_.energy) + "\n";
  utils::logmesg(lmp, text);
}

void PairPannaPlus::init_style()
{
  check_special_bonds(lmp);
  check_exclusions(lmp, species_of_type_);
  check_masses(lmp, element_of_type_);
  check_computes(lmp);
  neighbor->add_request(this, NeighConst::REQ_FULL);
  use_double_if_minimizing();
}

/// A line search compares energies that differ by less than float resolves. Collective.
void PairPannaPlus::use_double_if_minimizing()
{
  model_in_use_ = model_.get();
  const bool is_minimization = update->whichflag == 2;
  if (!model_ || !is_minimization || options_.precision == PANNA_PLUS_DOUBLE) return;
  if (!double_model_) {
    const std::string complaint = complaint_of([&] { double_model_ = model_->in_double(); }, world);
    if (!complaint.empty()) error->all(FLERR, "pair_style panna_plus: " + complaint);
    if (comm->me == 0)
      utils::logmesg(lmp, "panna_plus: minimizations evaluate the model in double precision, runs in mixed\n");
  }
  model_in_use_ = double_model_.get();
}

double PairPannaPlus::init_one(int type, int other)
{
  if (!model_ || !setflag[type][other])
    error->all(FLERR, "pair_style panna_plus: no model for atom types " + std::to_string(type) + " and " +
                   std::to_string(other) + ": write pair_coeff * * model.pt El1 El2 ...");
  return cutoff_;
}

void PairPannaPlus::setup()
{
  check_ghost_cutoff(lmp, cutoff_);
}

/// What fixes, computes and library users ask for by name.
void *PairPannaPlus::extract(const char *name, int &dimension)
{
  if (!model_) return nullptr;
  dimension = 0;
  if (std::strcmp(name, "cutoff") == 0) return &cutoff_;
  dimension = 2;
  if (std::strcmp(name, "scale") == 0) return scale_;
  return nullptr;
}

double PairPannaPlus::memory_usage()
{
  double bytes = Pair::memory_usage() + buffers_.memory_usage() + generation_.memory_usage();
  for (const auto *model : {&model_, &double_model_})
    if (*model) bytes += (*model)->memory_usage();
  return bytes;
}

}    // namespace panna_plus_lammps
