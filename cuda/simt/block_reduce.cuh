// Sums and maxima over the threads of a block, in a fixed order; every thread gets the result.
#pragma once

#include "cuda/simt/gpu.h"

namespace compact {

inline constexpr int kMaxWarps = 32;

struct Sum {
    template <class T>
    __device__ __forceinline__ T operator()(T a, T b) const {
        return a + b;
    }
};

// A NaN is passed over.
struct Maximum {
    __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
    __device__ __forceinline__ uint32_t operator()(uint32_t a, uint32_t b) const {
        return a > b ? a : b;
    }
};

template <class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
    CP_UNROLL
    for (int offset = 16; offset > 0; offset >>= 1) {
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
    }
    return value;
}

// `scratch`: kMaxWarps elements of shared memory, free again for the next reduction. Whole warps
// only.
template <class T, class Combine>
__device__ __forceinline__ T block_reduce(T value, Combine combine, T* scratch) {
    const int warps = static_cast<int>(blockDim.x) / 32;
    value = warp_reduce(value, combine);
    __syncthreads();  // the previous result has been read
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    value = scratch[0];
    for (int warp = 1; warp < warps; ++warp) value = combine(value, scratch[warp]);
    return value;
}

// Threads of a block that has one row of `width` elements, a pack each at a time.
inline int row_threads(int64_t width) {
    const int64_t packs = (width + 7) / 8;
    return static_cast<int>(packs >= 256 ? 256 : (packs + 31) / 32 * 32);
}

}  // namespace compact
