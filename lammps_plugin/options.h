// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef PANNA_PLUS_OPTIONS_H
#define PANNA_PLUS_OPTIONS_H

#include "panna_plus.h"

#include <string>
#include <vector>

namespace panna_plus_lammps {

/// What evaluates the model: our kernels, or the TorchScript part of the file in libtorch.
enum class Backend { native, torch };

/// The keywords of `pair_style panna_plus`. None may be the name of a pair style: hybrid splits there.
struct Options {
  PannaPlusPrecision precision = PANNA_PLUS_MIXED;
  bool guard = true;
  Backend backend = Backend::native;
  std::string device = "auto";    // or cpu, cuda, cuda:N

  bool asks_for_cuda() const { return device.rfind("cuda", 0) == 0; }
  std::string precision_name() const { return precision == PANNA_PLUS_MIXED ? "mixed" : "double"; }
  std::string backend_name() const { return backend == Backend::native ? "native" : "torch"; }
};

/// Throws std::invalid_argument with a sentence for the user.
Options parse_options(const std::vector<std::string> &words);

}    // namespace panna_plus_lammps

#endif
