#pragma once

#include <exception>

namespace panna_plus {

/// The first thing that went wrong in an evaluation whose exchanges every process must take part in: what comes
/// between two exchanges is attempted only while nothing has failed, exchanges are made in any case, and the end throws.
class FirstFailure {
 public:
  /// Calls body() unless something failed before; keeps what it throws.
  template <class Body>
  void attempt(Body body) {
    if (thrown_) return;
    try {
      body();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  bool has_failed() const { return thrown_ != nullptr; }

  /// Throws what was kept, if anything was.
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  std::exception_ptr thrown_;
};

}  // namespace panna_plus
