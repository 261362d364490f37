// What happens to finished fp32 sums of a product: eight neighbouring columns of one row at a time,
// the first of which is a multiple of eight. Each warp hands what the calls of its threads returned
// to finish_warp().
#pragma once

#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/gpu.h"
#include "cuda/simt/pack.cuh"
#include "native/base/stochastic_rounding.h"

namespace compact {

// Warps of a block, or of a tile, that store.
inline constexpr int kStoringWarps = 8;

// c = alpha * sum (+ c); returns the sum of the squares of what is stored, where they are wanted.
template <class C>
struct StoreEpilogue {
    C* c;  // (rows, columns)
    int64_t stride, rows, columns;
    float alpha;
    bool accumulate;
    double* squares;  // null, or a sum for every warp that stores

    __device__ __forceinline__ float operator()(int64_t row, int64_t column,
                                                const float (&sums)[kPackSize], int64_t) const {
        if (row >= rows || column >= columns) return 0.0f;
        C* target = c + row * stride + column;
        const int count = pack_count(columns, column);
        float values[kPackSize];
        if (accumulate) load_pack(target, count, values);
        C stored[kPackSize];
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            store_element(stored + i, accumulate ? values[i] + alpha * sums[i] : alpha * sums[i]);
        }
        store_pack(target, count, stored);
        float square = 0.0f;
        if (squares != nullptr) {
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float value = i < count ? load_element(stored + i) : 0.0f;
                square = __fmaf_rn(value, value, square);
            }
        }
        return square;
    }

    __device__ __forceinline__ void finish_warp(int64_t warp, float sum) const {
        if (squares == nullptr) return;
        const double total = warp_reduce(static_cast<double>(sum), Sum{});
        if (threadIdx.x % 32 == 0) squares[warp] = total;
    }
};

// Partial sums of one part of the inner dimension, (splits, rows, columns).
struct PartialEpilogue {
    float* partials;
    int64_t rows, columns;

    __device__ __forceinline__ float operator()(int64_t row, int64_t column,
                                                const float (&sums)[kPackSize],
                                                int64_t split) const {
        if (row >= rows || column >= columns) return 0.0f;
        store_pack(partials + (split * rows + row) * columns + column, pack_count(columns, column),
                   sums);
        return 0.0f;
    }

    __device__ __forceinline__ void finish_warp(int64_t, float) const {}
};

// w = keep * w - step_size * sum: touches each weight once.
template <class W, bool kStochastic>
struct UpdateEpilogue {
    W* weight;  // (rows, columns)
    int64_t stride, rows, columns;
    float keep, step_size;
    RoundingKey key;
    int64_t first_row;

    __device__ __forceinline__ float operator()(int64_t row, int64_t column,
                                                const float (&sums)[kPackSize], int64_t) const {
        if (row >= rows || column >= columns) return 0.0f;
        W* target = weight + row * stride + column;
        const int count = pack_count(columns, column);
        float values[kPackSize];
        load_pack(target, count, values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            values[i] = __fmaf_rn(values[i], keep, -__fmul_rn(step_size, sums[i]));
        }
        if constexpr (kStochastic) {
            const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(first_row + row),
                                                     static_cast<uint32_t>(column >> 3));
            Bf16 rounded[kPackSize];
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                rounded[i] = bf16_stochastic(values[i], philox_half(words, i));
            }
            store_pack(target, count, rounded);
        } else {
            store_pack(target, count, values);
        }
        return 0.0f;
    }

    __device__ __forceinline__ void finish_warp(int64_t, float) const {}
};

// A warp holds slabs of 16 x 32 sums, element (4 j + i) of thread t at row t / 4 + 8 (i / 2),
// column 8 j + 2 (t mod 4) + i mod 2. They change places through shared memory, so that the threads
// of a warp meet whole sectors of memory in the epilogue, and one call of Philox rounds eight
// weights. Rows are padded to keep the writes free of bank conflicts.
inline constexpr int kSlabStride = 40, kSlabFloats = 16 * kSlabStride;

template <class Epilogue>
__device__ __forceinline__ float finish_slab(float* slab, const float (&sums)[4][4], int64_t row,
                                             int64_t column, int64_t split,
                                             const Epilogue& epilogue) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    float* const own = slab + (lane >> 2) * kSlabStride + (lane & 3) * 2;
    CP_UNROLL
    for (int j = 0; j < 4; ++j) {
        *reinterpret_cast<float2*>(own + j * 8) = float2{sums[j][0], sums[j][1]};
        *reinterpret_cast<float2*>(own + j * 8 + 8 * kSlabStride) = float2{sums[j][2], sums[j][3]};
    }
    __syncwarp();
    float result = 0.0f;
    CP_UNROLL
    for (int i = 0; i < 2; ++i) {
        const int r = i * 8 + (lane >> 2), c = (lane & 3) * 8;
        const auto* const eight = reinterpret_cast<const float4*>(slab + r * kSlabStride + c);
        const float4 low = eight[0], high = eight[1];
        const float values[kPackSize] = {low.x,  low.y,  low.z,  low.w,
                                         high.x, high.y, high.z, high.w};
        result += epilogue(row + r, column + c, values, split);
    }
    __syncwarp();
    return result;
}

}  // namespace compact
