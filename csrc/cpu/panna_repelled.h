#pragma once

#include <memory>

#include "potential/potential.h"

namespace panna_plus {

/// A panna model together with the repulsion of nuclei that its file holds; `alone` evaluates the perceptrons.
std::unique_ptr<Potential> with_repulsion(const ModelFile &file, std::unique_ptr<Potential> alone);

}  // namespace panna_plus
