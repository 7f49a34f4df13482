// SPDX-License-Identifier: GPL-2.0-or-later
//
// Script commands and setup of pair_style panna_plus.
#include "pair_panna_plus.h"

#include "charge_checks.h"
#include "coefficients.h"
#include "devices.h"
#include "lammps_compat.h"
#include "setup_checks.h"
#include "type_labels.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace panna_plus_lammps {
namespace {

using namespace LAMMPS_NS;

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

/// Collective: names a file that is not the same on all ranks; empty if there is none.
std::string complaint_of_difference(const Model &model, MPI_Comm world)
{
  for (const ModelFile &file : model.files()) {
    const bool is_another = text_of_rank(file.weights_hash, 0, world) != file.weights_hash;
    if (first_rank_with(is_another, world) >= 0)
      return "the file " + file.path + " is not the same on all machines of this run";
  }
  return {};
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
  warned_ = warned_of_ratios_ = warned_of_flux_ = false;
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
  Coefficients given;
  try {
    given = parse_coefficients(std::vector<std::string>(words, words + n_words), atom->ntypes);
  } catch (const std::invalid_argument &fault) {
    error->all(FLERR, std::string(fault.what()));
  }
  // Who catches what is refused below and goes on must not compute with half of the old and half of the new.
  forget_model();
  units_ = units_of(lmp);
  const std::string complaint = open_model(given.files);
  if (!complaint.empty()) error->all(FLERR, "pair_style panna_plus: " + complaint);
  check_charge_and_spin(lmp, *model_, options_);
  map_elements(given.elements.empty() ? elements_by_label(lmp) : given.elements);
  print_summary();
  compare_with_restart();
}

/// Collective: every rank reads the files, and all of them get the same answer. Returns what went wrong.
std::string PairPannaPlus::open_model(const std::vector<std::string> &paths)
{
  const std::string device = device_of_rank(lmp, options_);
  no_cuda_.clear();
  std::string complaint = open_on(device, paths);
  if (complaint.empty() || options_.device != "auto" || device == "cpu") return complaint;
  // A family without kernels for CUDA, for instance.
  no_cuda_ = std::exchange(complaint, open_on("cpu", paths));
  return complaint;
}

/// Collective, as open_model.
std::string PairPannaPlus::open_on(const std::string &device, const std::vector<std::string> &paths)
{
  close_models();
  Options options = options_;
  options.long_range_cutoff /= units_.length;
  options.damping /= units_.length;
  options.device = device;
  std::string complaint = complaint_of([&] { model_ = std::make_unique<Model>(paths, options); }, world);
  if (complaint.empty()) complaint = complaint_of_difference(*model_, world);
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
                     std::to_string(species_of_type_.size()) + ") is not in the model " + model_->name() +
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
  if (options_.charges) check_atoms_have_charges(lmp);
  neighbor->add_request(this, NeighConst::REQ_FULL | (has_deep_halo() ? NeighConst::REQ_GHOST : 0));
  if (has_deep_halo()) deep_halo_.ask_for(ghost_cutoff());
  if (options_.charges || model_->couples_ranks()) traffic_.announce();
  if (model_->has_messages()) check_tiles(lmp, ghost_cutoff());
  use_double_if_minimizing();
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
