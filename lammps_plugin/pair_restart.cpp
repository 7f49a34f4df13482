// SPDX-License-Identifier: GPL-2.0-or-later
//
// Restart files hold the options, the paths (one per line) and the hash of the model and the elements of the types. A
// file that is not there, or is another one, leaves the coefficients unset: LAMMPS then asks for pair_coeff. A hybrid
// style asks for it anyway, since it stores only the settings of its styles; the hash is compared then. The machine that
// reads a restart file may have other devices than the one that wrote it: `device cpu` is kept, else it is `auto`.
#include "pair_panna_plus.h"

#include "coefficients.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "mpi_symbols.h"
#include "utils.h"

#include <sstream>
#include <utility>

namespace panna_plus_lammps {

using namespace LAMMPS_NS;

namespace {

std::vector<std::string> lines_of(const std::string &text)
{
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}    // namespace

void PairPannaPlus::write_restart_settings(FILE *file)
{
  const std::vector<std::string> words = options_.words();
  write_number(file, static_cast<int>(words.size()));
  for (const std::string &word : words) write_text(file, word);
  write_number(file, model_ && model_->device() != "cpu");
  write_text(file, model_ ? joined(model_->paths(), "\n") : "");
  write_text(file, model_ ? model_->weights_hash() : "");
  for (int type = 1; type <= atom->ntypes; ++type) write_text(file, model_ ? element_of_type_[type] : "NULL");
}

void PairPannaPlus::read_restart_settings(FILE *file)
{
  std::vector<std::string> words(read_number(file));
  for (std::string &word : words) word = read_text(file);
  set_options(words);
  restarted_ = {};
  restarted_.used_cuda = read_number(file) != 0;
  restarted_.paths = lines_of(read_text(file));
  restarted_.hash = read_text(file);
  for (int type = 1; type <= atom->ntypes; ++type) restarted_.elements.push_back(read_text(file));
}

void PairPannaPlus::write_restart(FILE *file)
{
  write_restart_settings(file);
}

void PairPannaPlus::read_restart(FILE *file)
{
  read_restart_settings(file);
  const Restarted restarted = std::exchange(restarted_, {});
  if (restarted.paths.empty()) return;

  units_ = units_of(lmp);
  std::string complaint = open_model(restarted.paths);
  if (complaint.empty() && model_->weights_hash() != restarted.hash) complaint = difference_from(restarted);
  if (!complaint.empty()) {
    forget_model();
    if (comm->me == 0)
      error->warning(FLERR, "pair_style panna_plus: " + complaint + ": give pair_coeff again before the run");
    return;
  }
  map_elements(restarted.elements);
  print_summary();
  warn_of_another_device(restarted);
}

/// Far slower: to be seen before the queue of a cluster ends the run.
void PairPannaPlus::warn_of_another_device(const Restarted &restarted) const
{
  if (comm->me != 0 || !restarted.used_cuda || options_.device == "cpu" || model_->device() != "cpu") return;
  error->warning(FLERR,
                 "pair_style panna_plus: the restart file was written by a run on CUDA devices, this one continues on "
                 "the CPU: 'panna-plus doctor' says why; 'pair_style panna_plus device cuda' stops instead");
}

/// After a restart pair_coeff of a hybrid style should name the same model with the same elements.
void PairPannaPlus::compare_with_restart()
{
  const Restarted restarted = std::exchange(restarted_, {});
  if (restarted.paths.empty() || comm->me != 0) return;
  warn_of_another_device(restarted);
  const std::vector<std::string> elements(element_of_type_.begin() + 1, element_of_type_.end());
  if (model_->weights_hash() == restarted.hash && elements == restarted.elements) return;
  error->warning(FLERR,
                 "pair_style panna_plus: " + difference_from(restarted) + ": continuing with what pair_coeff says");
}

std::string PairPannaPlus::difference_from(const Restarted &restarted) const
{
  std::string elements;
  for (const std::string &element : restarted.elements) elements += " " + element;
  return model_->name() + " has weights " + model_->weights_hash().substr(0, 12) +
      ", the restart file was written with " + restarted.hash.substr(0, 12) + " (" + joined(restarted.paths, ", ") +
      ") and the elements" + elements;
}

void PairPannaPlus::write_number(FILE *file, int number) const
{
  std::fwrite(&number, sizeof(int), 1, file);
}

void PairPannaPlus::write_text(FILE *file, const std::string &text) const
{
  write_number(file, static_cast<int>(text.size()));
  std::fwrite(text.data(), 1, text.size(), file);
}

/// Collective; only the first rank has the file.
int PairPannaPlus::read_number(FILE *file) const
{
  int number = 0;
  if (comm->me == 0) utils::sfread(FLERR, &number, sizeof(int), 1, file, nullptr, error);
  MPI_Bcast(&number, 1, MPI_INT, 0, world);
  return number;
}

/// Collective, as read_number.
std::string PairPannaPlus::read_text(FILE *file) const
{
  std::string text(read_number(file), ' ');
  if (comm->me == 0 && !text.empty()) utils::sfread(FLERR, text.data(), 1, text.size(), file, nullptr, error);
  return text_of_rank(text, 0, world);
}

}    // namespace panna_plus_lammps
