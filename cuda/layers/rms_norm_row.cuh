// One row of a norm by one block, for rmsNorm and addRmsNorm.
#pragma once

#include "cuda/runtime/device.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"

namespace compact {

inline constexpr int kNormThreads = 512;

// Threads of a block: one for each pack of a row, as far as that goes.
inline dim3 norm_threads(int64_t width) {
    const int64_t wanted = round_up(ceil_div(width, kPackSize), 32);
    return dim3(static_cast<unsigned>(std::min<int64_t>(wanted, kNormThreads)));
}

// Whether each thread may hold its only pack of a row from one pass to the next: rows are whole
// packs, aligned, and no more of them than threads. The same bits as in several passes.
template <class... Pointers>
bool fits_registers(int64_t width, Pointers... tensors) {
    const auto is_aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
    return width % kPackSize == 0 && width <= kNormThreads * kPackSize &&
           (is_aligned(tensors) && ...);
}

// 1 / sqrt(mean(x^2) + epsilon) for all threads, from what each has of the sum.
__device__ __forceinline__ float reciprocal_norm(float squares, int64_t width, float epsilon,
                                                 float* scratch) {
    const float mean = block_reduce(squares, Sum{}, scratch) / static_cast<float>(width);
    return 1.0f / sqrtf(mean + epsilon);
}

__device__ __forceinline__ float add_squares(const float (&values)[kPackSize], float squares) {
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) squares = __fmaf_rn(values[i], values[i], squares);
    return squares;
}

__device__ __forceinline__ void scale_pack(float (&values)[kPackSize], float factor,
                                           const float (&weights)[kPackSize], float offset) {
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] = values[i] * factor * (weights[i] + offset);
}

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
        squares = add_squares(values, squares);
    }
    const float factor = reciprocal_norm(squares, width, epsilon, scratch);
    if (threadIdx.x == 0) *rstd = factor;
    for (int64_t column = first; column < width; column += stride) {
        const int count = pack_count(width, column);
        load_pack(x + column, count, values);
        load_pack(weight + column, count, weights);
        scale_pack(values, factor, weights, offset);
        store_pack(y + column, count, values);
    }
}

// The same where it fits_registers(): `load(column, values)` gives this thread's pack of x.
template <class T, class Load>
__device__ __forceinline__ void rms_norm_held_row(Load load, const T* weight, float offset, T* y,
                                                  float* rstd, int width, float epsilon,
                                                  float* scratch) {
    const int column = static_cast<int>(threadIdx.x) * kPackSize;
    float values[kPackSize] = {}, weights[kPackSize] = {};
    if (column < width) {
        load(column, values);
        load_whole_pack(weight + column, weights);
    }
    const float factor = reciprocal_norm(add_squares(values, 0.0f), width, epsilon, scratch);
    if (threadIdx.x == 0) *rstd = factor;
    if (column >= width) return;
    scale_pack(values, factor, weights, offset);
    store_whole_pack(y + column, values);
}

}  // namespace compact
