// The emulation itself: a sum over a block that is right, or wrong in the way that the argument names.
// Arguments: good, divergent, absent, outside or race. Only `good` may end well (`race`: under the thread sanitizer).

#include <cstdio>
#include <string>
#include <vector>

#include "cuda/launch.h"

using namespace panna_plus::cuda;

namespace {

enum Fault { good, divergent, absent, outside, race };

/// Every thread writes its number; lane 0 of every warp adds up those of its warp.
__global__ void sum_kernel(Fault fault, int *sums) {
  int *numbers = reinterpret_cast<int *>(shared_memory());
  const int thread = int(threadIdx.x), lane = thread % warp_size;
  if (fault == absent && lane == 7) return;
  numbers[fault == outside ? thread + 1 : thread] = thread;
  if (fault == divergent && lane < 16) {
    __syncwarp();
  } else if (fault != race) {
    __syncwarp();
  }
  if (lane != 0) return;
  int sum = 0;
  for (int k = 0; k < warp_size; ++k) sum += numbers[thread + k];
  sums[thread / warp_size] = sum;
}

}  // namespace

int main(int n, char **arguments) {
  const std::string wanted = n > 1 ? arguments[1] : "good";
  const char *names[] = {"good", "divergent", "absent", "outside", "race"};
  int fault = 0;
  while (fault < 4 && wanted != names[fault]) ++fault;
  std::vector<int> sums(2);
  launch({1, 64, 64 * sizeof(int)}, nullptr, sum_kernel, Fault(fault), sums.data());
  const bool is_right = sums[0] == 31 * 32 / 2 && sums[1] == 32 * 32 + 31 * 32 / 2;
  std::printf("%s\n", is_right ? "all passed" : "wrong sums");
  return is_right ? 0 : 1;
}
