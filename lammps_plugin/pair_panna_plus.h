// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style panna_plus [precision mixed|double] [guard on|off] [backend auto|native|torch]
//                       [device auto|cpu|cuda|cuda:N]
//                       [halo auto|layer|deep] [charges on|off] [charge Q] [spin S] [lr_cutoff R] [damping D]
// pair_coeff * * model.pt Si O NULL, or the word labels in place of the elements; of several files the mean is taken
#ifndef PANNA_PLUS_PAIR_PANNA_PLUS_H
#define PANNA_PLUS_PAIR_PANNA_PLUS_H

#include "agreement.h"
#include "details.h"
#include "engine.h"
#include "generation.h"
#include "halo.h"
#include "options.h"
#include "pair.h"
#include "traffic.h"
#include "uncertainty.h"
#include "units.h"

#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace panna_plus_lammps {

/// Arrays of one evaluation in the model's units. They grow and stay: no allocation in most steps.
struct Buffers {
  std::vector<double> positions;           // (n, 3), used only where the script's unit of length is another
  std::vector<int32_t> species;            // (n)
  std::vector<int32_t> centers;
  std::vector<double> forces;              // (n, 3)
  std::vector<double> atomic_energies;     // (n)
  std::vector<double> atomic_virials;      // (n, 6)
  std::vector<double> centroid_virials;    // (n, 9)

  double memory_usage() const;    ///< bytes
};

/// What a restart file says of the model; empty where none was read.
struct Restarted {
  std::vector<std::string> paths;
  std::string hash;
  bool used_cuda = false;
  std::vector<std::string> elements;    // of the types, from the first on
};

/// Potentials in LAMMPS: gather, call the engine, tally. The file decides which potential.
class PairPannaPlus : public LAMMPS_NS::Pair {
 public:
  explicit PairPannaPlus(LAMMPS_NS::LAMMPS *lammps);
  ~PairPannaPlus() override;

  void settings(int n_words, char **words) override;
  void coeff(int n_words, char **words) override;
  void init_style() override;
  double init_one(int type, int other) override;
  void *extract(const char *name, int &dimension) override;
  void *extract_peratom(const char *name, int &columns) override;
  void setup() override;
  void compute(int eflag, int vflag) override;
  int pack_forward_comm(int n, int *atoms, double *buffer, int is_periodic, int *images) override;
  void unpack_forward_comm(int n, int first, double *buffer) override;
  int pack_reverse_comm(int n, int first, double *buffer) override;
  void unpack_reverse_comm(int n, int *atoms, double *buffer) override;
  void write_restart(FILE *file) override;
  void read_restart(FILE *file) override;
  void write_restart_settings(FILE *file) override;
  void read_restart_settings(FILE *file) override;
  double memory_usage() override;

 private:
  // Commands and setup: pair_panna_plus.cpp
  void set_options(const std::vector<std::string> &words);
  void close_models();
  void forget_model();
  void allocate();
  void deallocate();
  std::string open_model(const std::vector<std::string> &paths);
  std::string open_on(const std::string &device, const std::vector<std::string> &paths);
  void use_double_if_minimizing();
  void map_elements(const std::vector<std::string> &names);
  void mark_types();
  bool has_deep_halo() const;
  double ghost_cutoff() const;

  // What the log says of the model: pair_summary.cpp
  void print_summary() const;    // collective
  std::string file_lines() const;
  std::string setting_lines(const std::string &devices) const;
  std::string system_lines() const;
  std::string system_words() const;

  // One step: pair_compute.cpp
  double common_scale() const;
  std::string evaluate(PannaPlusResults &results);
  std::string prepare(PannaPlusNeighborhood &atoms, PannaPlusResults &results);
  std::string described(const std::exception &fault) const;
  PannaPlusNeighborhood gather();
  PannaPlusResults wanted_results(int64_t n_atoms);
  std::string fault_in(const char *what, const double *values, int64_t n_atoms) const;
  std::string fault_of(const PannaPlusResults &results, int64_t n_atoms) const;
  void stop_or_warn(const std::string &complaint, const PannaPlusResults &results);
  void bring_ghosts_home();
  void finish_uncertainty(double scale);
  void tally(const PannaPlusResults &results, double scale);
  void warn_of_flux();
  std::string atom_name(int64_t atom) const;
  std::string closest_pair_text(const PannaPlusResults &results) const;

  // Charges and other numbers of atoms: pair_details.cpp
  int *trigger_named(const char *name);
  void request_details(PannaPlusResults &results, int64_t n_atoms);
  void hand_out_details(double energy);
  double lowest_ratio();
  void warn_of_ratios(double lowest);

  // Restart files: pair_restart.cpp
  void warn_of_another_device(const Restarted &restarted) const;
  void compare_with_restart();
  std::string difference_from(const Restarted &restarted) const;
  void write_number(FILE *file, int number) const;
  void write_text(FILE *file, const std::string &text) const;
  std::string read_text(FILE *file) const;
  int read_number(FILE *file) const;

  Options options_;
  std::string no_cuda_;                      // why `device auto` does not use a CUDA device that is there
  std::unique_ptr<Model> model_;             // as the options say
  std::unique_ptr<Model> double_model_;      // for minimizations, from the first one on
  const Model *model_in_use_ = nullptr;      // one of them, for this run or minimization
  std::vector<std::string> element_of_type_;    // by atom type; entry 0 is unused
  std::vector<int> species_of_type_;            // -1: NULL
  Units units_;
  double cutoff_ = 0.0;         // in the script's units of length
  double **scale_ = nullptr;    // by pair of types: what `fix adapt` writes to
  Buffers buffers_;
  Generation generation_;
  Traffic traffic_;
  DeepHalo deep_halo_;
  Details details_;
  Uncertainty uncertainty_;
  bool warned_ = false;
  bool warned_of_ratios_ = false;
  bool warned_of_flux_ = false;
  Restarted restarted_;    // until pair_coeff
};

}    // namespace panna_plus_lammps

#endif
