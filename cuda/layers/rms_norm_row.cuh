// One row of a norm by one block, for rmsNorm and addRmsNorm.
#pragma once

#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"

namespace compact {

// y = x rstd (weight + offset), rstd = 1 / sqrt(mean(x^2) + epsilon); x, weight and y are (width),
// rstd is one number. `load(column, count, values)` gives a pack of x the first time; the second
// time it is read from `x`, by the same thread.
template <class T, class Load>
__device__ __forceinline__ void rms_norm_row(Load load, const T* x, const T* weight, float offset,
                                             T* y, float* rstd, int64_t width, float epsilon,
                                             float* scratch) {
    const int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize;
    const int64_t stride = static_cast<int64_t>(blockDim.x) * kPackSize;
    float squares = 0.0f, values[kPackSize], weights[kPackSize];
    for (int64_t column = first; column < width; column += stride) {
        load(column, pack_count(width, column), values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) squares = __fmaf_rn(values[i], values[i], squares);
    }
    const float mean = block_reduce(squares, Sum{}, scratch) / static_cast<float>(width);
    const float factor = 1.0f / sqrtf(mean + epsilon);
    if (threadIdx.x == 0) *rstd = factor;
    for (int64_t column = first; column < width; column += stride) {
        const int count = pack_count(width, column);
        load_pack(x + column, count, values);
        load_pack(weight + column, count, weights);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            values[i] = values[i] * factor * (weights[i] + offset);
        }
        store_pack(y + column, count, values);
    }
}

}  // namespace compact
