#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace panna_plus {

/// One-dimensional arrays by name where there is no model file; the names are those of files.
class NamedArrays {
 public:
  /// A Failure if there is one of this name already.
  void add(const std::string &name, std::vector<double> values);

  /// Shape of an array; a Failure if absent.
  std::vector<std::int64_t> array_shape(const std::string &name) const;
  /// Values of an array whose shape must be `shape`; all must be finite.
  std::vector<double> array(const std::string &name, const std::vector<std::int64_t> &shape) const;

  /// "descriptor: <where>: expected <expected>, found <found>"
  [[noreturn]] void fail(const std::string &where, const std::string &expected, const std::string &found) const;

 private:
  std::map<std::string, std::vector<double>> arrays_;
};

}  // namespace panna_plus
