// The panna family evaluated with plain loops, one number at a time, through the standard library's
// exp and pow: slow, readable, and the oracle of the fast kernels.
#pragma once

#include <memory>

#include "potential/potential.h"

namespace panna_plus {

std::unique_ptr<Potential> build_panna_reference(const ModelFile &file, Precision precision);

}  // namespace panna_plus
