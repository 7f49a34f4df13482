#include "system/threads.h"

#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace panna_plus {

void run_in_threads(int n, const std::function<void(int)> &body) {
  if (n <= 1) {
    body(0);
    return;
  }
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(n));
  auto guarded = [&](int rank) {
    try {
      body(rank);
    } catch (...) {
      failures[static_cast<std::size_t>(rank)] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  int started = 1;
  try {
    for (; started < n; ++started) threads.emplace_back(guarded, started);
  } catch (const std::system_error &) {
    // No more threads to be had: their share is done here.
  }
  guarded(0);
  for (; started < n; ++started) guarded(started);
  for (std::thread &thread : threads) thread.join();
  for (const std::exception_ptr &failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace panna_plus
