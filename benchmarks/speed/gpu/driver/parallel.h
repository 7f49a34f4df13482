// Loops that threads share.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace driver {

/// Calls work(part, first, end) for consecutive ranges of 0 ... n - 1; parts number from 0. A thread has at least
/// `least` items, and one range is worked on here.
template <class Work>
void in_parts(std::int64_t n, std::int64_t least, int n_threads, const Work &work) {
  const std::int64_t n_parts = std::clamp<std::int64_t>(n / least, 1, std::max(n_threads, 1));
  std::vector<std::thread> threads;
  for (std::int64_t part = 1; part < n_parts; ++part) {
    threads.emplace_back([&, part] { work(int(part), part * n / n_parts, (part + 1) * n / n_parts); });
  }
  work(0, std::int64_t(0), n / n_parts);
  for (std::thread &thread : threads) thread.join();
}

/// Atoms that are worth a thread in loops that only add and multiply.
constexpr std::int64_t least_atoms = 20000;

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace driver
