// What CUDA reports, as a Failure.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "system/failure.h"

namespace panna_plus::cuda {

/// A Failure that names the call and what CUDA says about it.
inline void require_success(cudaError_t error, const char *call) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // reported once
  throw Failure(std::string("CUDA: ") + call + " failed: " + cudaGetErrorString(error));
}

}  // namespace panna_plus::cuda
