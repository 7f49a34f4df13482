#pragma once

#include <stdexcept>
#include <string>

namespace panna_plus {

/// What a caller can mend. The text says what was expected, what was found and what to do.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string &message) {
  if (!condition) throw Failure(message);
}

}  // namespace panna_plus
