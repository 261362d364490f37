// Marks small functions that kernels of every backend share.
#pragma once

#if defined(__CUDACC__)
#define COMPACT_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define COMPACT_HOST_DEVICE inline
#endif
