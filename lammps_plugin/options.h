// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef PANNA_PLUS_OPTIONS_H
#define PANNA_PLUS_OPTIONS_H

#include "panna_plus.h"

#include <string>
#include <vector>

namespace panna_plus_lammps {

/// What evaluates the model: our kernels, or the TorchScript part of the file in libtorch.
enum class Backend { native, torch };

/// How ghosts learn what became of the atoms that they are copies of: told in every layer, or computed anew on ghosts
/// as far away as the energy of an atom depends on others. `automatic`: what the backend does best.
enum class Halo { automatic, layer, deep };

std::string halo_name(Halo halo);

/// The keywords of `pair_style panna_plus`. None may be the name of a pair style: hybrid splits there.
struct Options {
  PannaPlusPrecision precision = PANNA_PLUS_MIXED;
  bool guard = true;
  Backend backend = Backend::native;
  std::string device = "auto";    // or cpu, cuda, cuda:N
  Halo halo = Halo::automatic;
  bool charges = false;              // whether the charges that the model finds go into atom->q
  double charge = 0.0;               // of all atoms that the model sees, e
  double spin = 0.0;                 // unpaired electrons
  double long_range_cutoff = 0.0;    // in the script's units of length; 0: as the model file says
  double damping = 0.0;              // the same

  bool asks_for_cuda() const { return device.rfind("cuda", 0) == 0; }
  std::string precision_name() const { return precision == PANNA_PLUS_MIXED ? "mixed" : "double"; }
  std::string backend_name() const { return backend == Backend::native ? "native" : "torch"; }
  /// The way in which the model is evaluated, `automatic` resolved.
  Halo halo_in_use() const;
  /// As words of a script, for restart files.
  std::vector<std::string> words() const;
};

/// Throws std::invalid_argument with a sentence for the user.
Options parse_options(const std::vector<std::string> &words);

}    // namespace panna_plus_lammps

#endif
