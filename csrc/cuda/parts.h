// Copies on the host, dealt out to threads: one core has only a part of the speed of memory.
#pragma once

#include <algorithm>
#include <cstddef>

#include "system/threads.h"

namespace panna_plus::cuda {

/// Calls body(first, end) for parts of 0 .. n - 1 in up to n_threads threads; a part has at least `least` of them,
/// below which starting a thread takes longer than its share.
template <class Body>
void in_parts(std::size_t n, std::size_t least, int n_threads, Body body) {
  const std::size_t wanted = std::min(static_cast<std::size_t>(std::max(n_threads, 1)), n / least);
  const std::size_t n_parts = std::max<std::size_t>(wanted, 1);
  run_in_threads(static_cast<int>(n_parts), [&](int part) {
    const std::size_t k = static_cast<std::size_t>(part);
    body(n * k / n_parts, n * (k + 1) / n_parts);
  });
}

}  // namespace panna_plus::cuda
