// The only file that asks which compiler reads it.
#pragma once

#if defined(__CUDACC__)
#define PANNA_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define PANNA_HD inline __attribute__((always_inline))
#else
#define PANNA_HD inline
#endif
