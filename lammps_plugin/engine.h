// SPDX-License-Identifier: GPL-2.0-or-later
//
// The libraries that evaluate models, opened at run time: this plugin is not linked with them.
#ifndef PANNA_PLUS_ENGINE_H
#define PANNA_PLUS_ENGINE_H

#include "options.h"
#include "panna_plus.h"

#include <memory>
#include <string>
#include <vector>

namespace panna_plus_lammps {

/// The functions of libpanna_plus.so, or of libpanna_plus_torchscript.so, which has the same ones.
struct Engine {
  decltype(&panna_plus_abi_version) abi_version;
  decltype(&panna_plus_open) open;
  decltype(&panna_plus_cuda_devices) cuda_devices;
  decltype(&panna_plus_cuda_device_name) cuda_device_name;
  decltype(&panna_plus_describe) describe;
  decltype(&panna_plus_describe_file) describe_file;
  decltype(&panna_plus_compute) compute;
  decltype(&panna_plus_memory_usage) memory_usage;
  decltype(&panna_plus_close) close;
  decltype(&panna_plus_last_error) last_error;

  /// Opened on first use, from the place that it has relative to this plugin; only `torch` brings libtorch
  /// into the process. Throws std::runtime_error if it is not there or of another interface version.
  static const Engine &of(Backend backend);
};

/// One of the files of a model, and what it says of itself.
struct ModelFile {
  std::string path, family, card, weights_hash;
  bool uses_charge, uses_spin;
  std::vector<std::string> details;

  ModelFile(const std::string &path, const PannaPlusDescription &found);
};

/// One opened model, of one file or the mean of several; released with the object.
class Model {
 public:
  /// `options.device` names one: cpu, cuda or cuda:N; lengths are in angstrom. Throws std::runtime_error with the
  /// engine's reason.
  Model(const std::vector<std::string> &paths, const Options &options);
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  /// The same files in double precision, wherever the script has gone since. Throws std::runtime_error, also
  /// if one of them is another one now.
  std::unique_ptr<Model> in_double() const;

  /// Adds to `results`; throws std::runtime_error with the engine's reason.
  void compute(const PannaPlusNeighborhood &atoms, PannaPlusResults &results) const;

  /// Position of an element in the model, -1 if it is not in it.
  int species_of(const std::string &element) const;

  /// In the order of pair_coeff.
  const std::vector<ModelFile> &files() const { return files_; }
  std::vector<std::string> paths() const;
  std::string name() const;    ///< for messages: its paths
  std::string family() const { return description_.family; }    ///< of several files all that occur
  std::string device() const { return description_.device; }    ///< cpu or cuda:N
  std::string device_name() const;                              ///< the same, and what a CUDA device is called
  std::string weights_hash() const { return description_.weights_sha256; }
  double cutoff() const { return description_.cutoff; }    ///< angstrom
  double reach() const { return description_.reach; }      ///< angstrom: how far energies depend on other atoms
  double message_cutoff() const { return description_.message_cutoff; }    ///< angstrom, 0 for local models
  bool has_messages() const { return description_.n_exchanges > 0; }
  bool uses_charge() const { return description_.uses_charge != 0; }
  bool uses_spin() const { return description_.uses_spin != 0; }
  /// Whether the energies of the atoms of one rank depend on what others compute.
  bool couples_ranks() const { return has_messages() || uses_charge() || uses_spin(); }
  int n_members() const { return description_.n_members; }    ///< of a committee, 1 for a model alone
  /// Names of what it knows of atoms beside energies and forces.
  const std::vector<std::string> &details() const { return details_; }
  bool has_detail(const std::string &name) const;
  const std::vector<std::string> &elements() const { return elements_; }
  double memory_usage() const;    ///< bytes

 private:
  void describe(const std::vector<std::string> &paths);

  const Engine &engine_;
  Options options_;
  std::vector<std::string> absolute_paths_;
  PannaPlusModel *model_ = nullptr;
  PannaPlusDescription description_{};
  std::vector<ModelFile> files_;
  std::vector<std::string> elements_, details_;
};

}    // namespace panna_plus_lammps

#endif
