#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace panna_plus {

/// One array of a safetensors block; `bytes` is little-endian, row-major.
struct ArrayView {
  std::string dtype;  // "F32" or "F64"
  std::vector<std::int64_t> shape;
  std::string_view bytes;

  std::int64_t n_values() const;
  /// The values in double; the caller checks that they are finite.
  std::vector<double> values() const;
};

/// "(3, 4)"
std::string shape_text(const std::vector<std::int64_t> &shape);

/// Splits a safetensors block into arrays. Unknown dtypes, shapes that do not match the byte ranges,
/// ranges that overlap, leave holes or run past the end are a Failure; `what` names the block in errors.
std::map<std::string, ArrayView> read_safetensors(std::string_view block, const std::string &what);

}  // namespace panna_plus
