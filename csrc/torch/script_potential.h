// The TorchScript part of a model file, executed by libtorch.
#pragma once

#include <memory>
#include <string>

#include "potential/potential.h"

namespace panna_plus {

/// Loads the program of the file: from here on code from the file is executed. mixed: the parameters of the
/// program are converted to float. `opening.kernels` must be empty. A Failure says what libtorch refused.
std::unique_ptr<Potential> build_script_potential(const ModelFile &file, const Opening &opening);

}  // namespace panna_plus
