// How every function of the C interface turns exceptions into its return value and text.
#pragma once

#include <exception>
#include <new>
#include <string>

namespace panna_plus {

/// Reason of this thread's last failure.
inline thread_local std::string last_error = "no error";

/// Runs `body`; 0 if it returns, 1 if it throws, whatever it throws.
template <class Body>
int guarded(Body body) {
  try {
    body();
    return 0;
  } catch (const std::bad_alloc &) {
    last_error = "out of memory";
  } catch (const std::exception &error) {
    last_error = error.what();
  } catch (...) {
    last_error = "unknown error";
  }
  return 1;
}

}  // namespace panna_plus
