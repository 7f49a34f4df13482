// SPDX-License-Identifier: GPL-2.0-or-later
//
// Script commands and setup of pair_style panna_plus.
#include "pair_panna_plus.h"

#include "card.h"
#include "charge_checks.h"
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

PairPannaPlus::PairPannaPlus(LAMMPS *lammps) : Pair(lammps), traffic_(lammps, this), deep_halo_(lammps)
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
  if (copymode) return;
  deallocate();
  deep_halo_.release();
}

/// Also called on this same object when the script repeats pair_style: everything starts anew.
void PairPannaPlus::settings(int n_words, char **words)
{
  forget_model();
  warned_ = warned_of_ratios_ = false;
  restarted_ = {};
  set_options(std::vector<std::string>(words, words + n_words));
  check_launcher(lmp);
}

void PairPannaPlus::set_options(const std::vector<std::string> &words)
{
  try {
    options_ = parse_options(words);
  } catch (const std::invalid_argument &fault) {
    error->all(FLERR, std::string(fault.what()));
  }
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
  deep_halo_.release();
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
  // Who catches what is refused below and goes on must not compute with half of the old and half of the new.
  forget_model();
  units_ = units_of(lmp);
  const std::string complaint = open_model(words[2]);
  if (!complaint.empty()) error->all(FLERR, "pair_style panna_plus: " + complaint);
  check_charge_and_spin(lmp, *model_, options_);
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
  options.long_range_cutoff /= units_.length;
  options.damping /= units_.length;
  options.device = device;
  std::string complaint = complaint_of([&] { model_ = std::make_unique<Model>(path, options); }, world);
  if (complaint.empty() && text_of_rank(model_->weights_hash(), 0, world) != model_->weights_hash())
    complaint = "the file " + path + " is not the same on all machines of this run";
  complaint = first_complaint(complaint, world);
  if (complaint.empty())
    details_.set_names(model_->details());
  else
    close_models();
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
  uncertainty_.of_model(model_.get());
  nextra = uncertainty_.n_global();
  pvector = uncertainty_.global();
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
  text += system_lines(card);
  for (const std::string &line : error_lines(card))
    text += "  mean absolute errors (eV, angstrom), " + line + "\n";
  text += uncertainty_.summary();
  text += "  units " + units_.style + ": 1 angstrom = " + decimal(units_.length) + ", 1 eV = " +
      decimal(units_.energy) + "\n";
  utils::logmesg(lmp, text);
  warn_of_charge(lmp, *model_, options_);
}

/// What concerns the system as a whole, where the model looks at it.
std::string PairPannaPlus::system_lines(const std::vector<CardEntry> &card) const
{
  std::string text;
  if (model_->has_messages())
    text += "  halo " + halo_name(options_.halo_in_use()) + ", energies reach " + decimal(model_->reach()) +
        " angstrom\n";
  std::vector<std::string> parts;
  if (model_->uses_charge()) parts.push_back("charge " + decimal(options_.charge));
  if (model_->uses_spin()) parts.push_back("spin " + decimal(options_.spin));
  const double own[2] = {long_range_cutoff(card), dispersion_damping(card)};
  const double given[2] = {options_.long_range_cutoff / units_.length, options_.damping / units_.length};
  const char *names[2] = {"lr_cutoff ", "damping "};
  for (int k = 0; k < 2; ++k)
    if (own[k] > 0.0) parts.push_back(names[k] + decimal(given[k] > 0.0 ? given[k] : own[k]) + " angstrom");
  if (model_->has_detail("charges")) parts.push_back(std::string("charges ") + (options_.charges ? "on" : "off"));
  for (std::size_t k = 0; k < parts.size(); ++k) text += (k == 0 ? "  " : ", ") + parts[k];
  return parts.empty() ? text : text + "\n";
}

bool PairPannaPlus::has_deep_halo() const
{
  return model_->has_messages() && options_.halo_in_use() == Halo::deep;
}

void PairPannaPlus::init_style()
{
  if (!allocated)
    error->all(FLERR, "pair_style panna_plus: there is no model: write pair_coeff * * model.pt El1 El2 ...");
  check_special_bonds(lmp);
  check_exclusions(lmp, species_of_type_);
  check_masses(lmp, element_of_type_);
  check_computes(lmp);
  say_whether_centroids_are_known();
  if (options_.charges) check_atoms_have_charges(lmp);
  neighbor->add_request(this, NeighConst::REQ_FULL | (has_deep_halo() ? NeighConst::REQ_GHOST : 0));
  if (has_deep_halo()) deep_halo_.ask_for(ghost_cutoff());
  if (options_.charges || model_->couples_ranks()) traffic_.announce();
  if (model_->has_messages()) check_tiles(lmp, ghost_cutoff());
  use_double_if_minimizing();
}

/// The native engine knows the gradient of a pair of atoms with messages as a whole, and not what of it belongs to the
/// energy of which atom: LAMMPS then refuses the compute.
void PairPannaPlus::say_whether_centroids_are_known()
{
  const bool is_known = !model_ || model_->message_cutoff() == 0.0 || options_.backend == Backend::torch;
  centroidstressflag = is_known ? CENTROID_AVAIL : CENTROID_NOTAVAIL;
  if (is_known) return;
  // A hybrid style asked when its parts were made.
  force->pair->centroidstressflag = CENTROID_NOTAVAIL;
  check_centroid_computes(lmp);
}

/// How far atoms of other ranks must be known, in the script's units.
double PairPannaPlus::ghost_cutoff() const
{
  return has_deep_halo() ? model_->reach() * units_.length : cutoff_;
}

/// A line search compares energies that differ by less than float resolves. Collective.
void PairPannaPlus::use_double_if_minimizing()
{
  model_in_use_ = model_.get();
  const bool is_minimization = update->whichflag == 2;
  if (!is_minimization || options_.precision == PANNA_PLUS_DOUBLE) return;
  if (!double_model_) {
    const std::string complaint = complaint_of([&] { double_model_ = model_->in_double(); }, world);
    if (!complaint.empty()) error->all(FLERR, "pair_style panna_plus: " + complaint);
    if (comm->me == 0)
      utils::logmesg(lmp, "panna_plus: minimizations evaluate the model in double precision, runs in mixed\n");
  }
  model_in_use_ = double_model_.get();
}

double PairPannaPlus::init_one(int, int)
{
  return cutoff_;
}

void PairPannaPlus::setup()
{
  check_ghost_cutoff(lmp, ghost_cutoff());
}

/// What fixes, computes and library users ask for by name.
void *PairPannaPlus::extract(const char *name, int &dimension)
{
  if (!model_) return nullptr;
  dimension = 0;
  if (std::strcmp(name, "cutoff") == 0) return &cutoff_;
  if (std::strcmp(name, "uncertainty_evaluations") == 0) return uncertainty_.n_evaluations();
  if (int *flag = uncertainty_.flag(name, lmp)) return flag;
  if (int *trigger = trigger_named(name)) return trigger;
  dimension = 2;
  if (std::strcmp(name, "scale") == 0) return scale_;
  return nullptr;
}

double PairPannaPlus::memory_usage()
{
  double bytes = Pair::memory_usage() + buffers_.memory_usage() + details_.memory_usage() + generation_.memory_usage() +
      uncertainty_.memory_usage();
  for (const auto *model : {&model_, &double_model_})
    if (*model) bytes += (*model)->memory_usage();
  return bytes;
}

}    // namespace panna_plus_lammps
