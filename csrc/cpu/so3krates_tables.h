#pragma once

#include "potential/so3krates_parameters.h"

namespace panna_plus {

/// Tables with as few of the knots as reproduce those left out to `tolerance`: of values against the largest value of
/// the model, of slopes against the largest slope. Small tables stay in fast memory.
RadialTables thinned_tables(const RadialTables &tables, double tolerance);

}  // namespace panna_plus
