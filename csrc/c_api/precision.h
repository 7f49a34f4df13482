#pragma once

#include <string>

#include "c_api/panna_plus.h"
#include "potential/potential.h"
#include "system/failure.h"

namespace panna_plus {

/// The engine's name for a precision that a caller gave to `function`.
inline Precision precision_of(PannaPlusPrecision precision, const std::string &function) {
  require(precision == PANNA_PLUS_MIXED || precision == PANNA_PLUS_DOUBLE,
          function + ": precision must be PANNA_PLUS_MIXED or PANNA_PLUS_DOUBLE, got " +
              std::to_string(static_cast<int>(precision)));
  return precision == PANNA_PLUS_MIXED ? Precision::mixed : Precision::double_;
}

}  // namespace panna_plus
