// Threads of one evaluation. Plain threads, not OpenMP: one library that works in every host (a process
// with two OpenMP runtimes, or one that forked after using OpenMP, can hang), and that thread
// sanitizers understand. Starting a thread takes some 20 microseconds.
#pragma once

#include <functional>

namespace panna_plus {

/// Calls body(rank) for rank = 0 .. n - 1, rank 0 in the calling thread; returns when all are done and
/// rethrows the failure of the lowest rank.
void run_in_threads(int n, const std::function<void(int)> &body);

}  // namespace panna_plus
