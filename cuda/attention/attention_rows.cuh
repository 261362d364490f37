// Rows of attention on CUDA cores, any dtype and head size: fp32 rows in shared memory. Eight lanes
// share a row of the block: in scores each has one of eight other rows, in sums an eighth of the
// columns.
#pragma once

#include "cuda/simt/gpu.h"
#include "cuda/simt/pack.cuh"
#include "native/backend/op_checks.h"

namespace compact {

inline constexpr int kRowLanes = 8;
inline constexpr int kBlockRows = 32;
inline constexpr int kRowThreads = kBlockRows * kRowLanes;
inline constexpr int kInnerRows = 16;  // of the other operand at a time
// Columns of a lane: four at a time, 4 * kRowLanes apart.
inline constexpr int kQuads = kMaxHeadSize / (4 * kRowLanes);

// Floats between rows: four more, so that rows fall into different banks.
__host__ __device__ __forceinline__ int row_stride(int64_t head_size) {
    return static_cast<int>(head_size) + 4;
}

// Widens kRows rows; rows from `valid` on become zero.
template <int kRows, class T>
__device__ __forceinline__ void load_rows_f32(float* rows, const T* source, int64_t stride,
                                              int64_t valid, int head_size) {
    for (int i = static_cast<int>(threadIdx.x); i < kRows * head_size; i += kRowThreads) {
        const int row = i / head_size, column = i % head_size;
        rows[row * row_stride(head_size) + column] =
            row < valid ? load_element(source + row * stride + column) : 0.0f;
    }
}

__device__ __forceinline__ float dot_rows(const float* a, const float* b, int head_size) {
    float sum = 0.0f;
    for (int i = 0; i < head_size; i += 4) {
        const float4 x = *reinterpret_cast<const float4*>(a + i);
        const float4 y = *reinterpret_cast<const float4*>(b + i);
        sum = __fmaf_rn(x.x, y.x, sum);
        sum = __fmaf_rn(x.y, y.y, sum);
        sum = __fmaf_rn(x.z, y.z, sum);
        sum = __fmaf_rn(x.w, y.w, sum);
    }
    return sum;
}

// The part of a row that one lane sums.
struct RowSums {
    float4 quads[kQuads] = {};

    static __device__ __forceinline__ int column(int quad) {
        return (static_cast<int>(threadIdx.x) % kRowLanes + quad * kRowLanes) * 4;
    }

    __device__ __forceinline__ void scale(float factor) {
        CP_UNROLL
        for (int i = 0; i < kQuads; ++i) {
            quads[i].x *= factor;
            quads[i].y *= factor;
            quads[i].z *= factor;
            quads[i].w *= factor;
        }
    }
    // Adds eight rows, each times the weight that one of the eight lanes holds.
    __device__ __forceinline__ void add(float weight, const float* rows, int head_size) {
        const int first_lane = static_cast<int>(threadIdx.x) & 31 & ~(kRowLanes - 1);
        for (int k = 0; k < kRowLanes; ++k) {
            const float factor = __shfl_sync(0xffffffffu, weight, first_lane + k);
            const float* row = rows + k * row_stride(head_size);
            CP_UNROLL
            for (int i = 0; i < kQuads; ++i) {
                if (column(i) >= head_size) continue;
                const float4 x = *reinterpret_cast<const float4*>(row + column(i));
                quads[i].x = __fmaf_rn(factor, x.x, quads[i].x);
                quads[i].y = __fmaf_rn(factor, x.y, quads[i].y);
                quads[i].z = __fmaf_rn(factor, x.z, quads[i].z);
                quads[i].w = __fmaf_rn(factor, x.w, quads[i].w);
            }
        }
    }
    template <class T>
    __device__ __forceinline__ void store(T* target, float factor, int head_size) const {
        CP_UNROLL
        for (int i = 0; i < kQuads; ++i) {
            if (column(i) >= head_size) continue;
            T* to = target + column(i);
            store_element(to, quads[i].x * factor);
            store_element(to + 1, quads[i].y * factor);
            store_element(to + 2, quads[i].z * factor);
            store_element(to + 3, quads[i].w * factor);
        }
    }
};

// Over the eight lanes of a row.
template <class Combine>
__device__ __forceinline__ float row_reduce(float value, Combine combine) {
    CP_UNROLL
    for (int offset = 1; offset < kRowLanes; offset *= 2) {
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
    }
    return value;
}

}  // namespace compact
