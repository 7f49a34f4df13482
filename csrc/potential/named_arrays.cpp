#include "potential/named_arrays.h"

#include <cmath>
#include <utility>

#include "model_file/safetensors.h"
#include "system/failure.h"

namespace panna_plus {

void NamedArrays::add(const std::string &name, std::vector<double> values) {
  if (!arrays_.emplace(name, std::move(values)).second) fail("array '" + name + "'", "once", "twice");
}

std::vector<std::int64_t> NamedArrays::array_shape(const std::string &name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) fail("array '" + name + "'", "present", "nothing");
  return {static_cast<std::int64_t>(found->second.size())};
}

std::vector<double> NamedArrays::array(const std::string &name, const std::vector<std::int64_t> &shape) const {
  const std::vector<std::int64_t> actual = array_shape(name);
  if (actual != shape) fail("array '" + name + "'", "shape " + shape_text(shape), shape_text(actual));
  const std::vector<double> &values = arrays_.at(name);
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isfinite(values[k])) continue;
    fail("array '" + name + "', value " + std::to_string(k), "a finite number", std::isnan(values[k]) ? "nan" : "inf");
  }
  return values;
}

void NamedArrays::fail(const std::string &where, const std::string &expected, const std::string &found) const {
  throw Failure("descriptor: " + where + ": expected " + expected + ", found " + found);
}

}  // namespace panna_plus
