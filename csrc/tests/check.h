// The least that a test program needs: count, report, go on.
#pragma once

#include <cstdio>
#include <functional>
#include <string>

#include "system/failure.h"

namespace panna_plus::test {

inline int n_failed = 0;

inline void check(bool holds, const std::string &what) {
  if (holds) return;
  ++n_failed;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

/// Runs `body`, which must throw a Failure whose text contains `part`.
inline void check_refused(const std::string &what, const std::string &part, const std::function<void()> &body) {
  try {
    body();
    check(false, what + ": accepted");
  } catch (const Failure &failure) {
    check(std::string(failure.what()).find(part) != std::string::npos,
          what + ": expected '" + part + "' in: " + failure.what());
  }
}

inline int finish(const char *name) {
  if (n_failed == 0) std::printf("%s: all passed\n", name);
  return n_failed == 0 ? 0 : 1;
}

}  // namespace panna_plus::test
