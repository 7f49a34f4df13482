#pragma once

#include <vector>

#include "potential/registry.h"

namespace panna_plus {

/// The families that the CPU evaluates.
const std::vector<Family> &cpu_families();

}  // namespace panna_plus
