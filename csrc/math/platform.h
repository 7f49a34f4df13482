// The only file, beside cuda/launch.h, that asks which compiler reads it.
#pragma once

#if defined(__CUDACC__)
#define PANNA_HD __host__ __device__ __forceinline__
#define PANNA_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PANNA_HD inline __attribute__((always_inline))
#define PANNA_UNROLL _Pragma("GCC unroll 64")
#else
#define PANNA_HD inline
#define PANNA_UNROLL
#endif

// Defined while code for a GPU is made: some functions have a faster form there.
#if defined(__CUDA_ARCH__)
#define PANNA_GPU_CODE
#endif
