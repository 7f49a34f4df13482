// A strict JSON reader (RFC 8259) for model cards: small, and limited where a hostile file could hurt.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace panna_plus {

struct JsonValue {
  enum class Kind { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0.0;
  std::string string;
  std::vector<JsonValue> items;
  std::map<std::string, JsonValue> members;

  /// The member of an object, or null when this is no object or has no such member.
  const JsonValue *find(const std::string &key) const;
  bool is(Kind other) const { return kind == other; }
  /// True for a number without a fraction between low and high.
  bool is_integer_between(double low, double high) const;
  /// How an error message shows this value: the number or a shortened string, else the kind.
  std::string described() const;
};

struct JsonLimits {
  std::size_t depth = 64;
  std::size_t values = 1000000;
};

/// Parses `text`; `what` names it in errors. Duplicate keys, NaN, Infinity, comments, invalid UTF-8 and
/// anything after the value are refused with a Failure that gives the byte position.
JsonValue parse_json(std::string_view text, const std::string &what, JsonLimits limits = {});

}  // namespace panna_plus
