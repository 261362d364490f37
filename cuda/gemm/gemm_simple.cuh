// Product on CUDA cores: any dtypes, sizes and strides, tiles of 64 x 64 x 16, 2 x 8 sums a thread.
// The f32 path, and the reference of the tensor-core path on the device. B may be quantised.
#pragma once

#include "cuda/gemm/gemm_epilogue.cuh"
#include "cuda/gemm/gemm_tiles.cuh"
#include "cuda/quantization/decode.cuh"
#include "cuda/simt/gpu.h"

namespace compact {

inline constexpr int kSimpleTile = 64, kSimpleTileK = 16, kSimpleThreads = 256;
static_assert(kSimpleThreads == 32 * kStoringWarps);
inline constexpr int kSimpleBlocks = 3;  // on a multiprocessor: of four, each would spill

// An operand as the matrix that is stored or coded, or its transpose.
template <class T>
struct StoredElements {
    const T* data;
    int64_t stride;
    bool transposed;

    __device__ __forceinline__ float operator()(int64_t row, int64_t column) const {
        return load_element(data + (transposed ? column * stride + row : row * stride + column));
    }
};

template <bool kTransposed>
struct QuantizedElements {
    QuantizedMatrix matrix;
    static constexpr bool transposed = kTransposed;

    __device__ __forceinline__ float operator()(int64_t row, int64_t column) const {
        const int64_t stride = matrix.stride;
        return decode_element(matrix, kTransposed ? column * stride + row : row * stride + column,
                              kConstantNf4Levels);
    }
};

template <class A, class B, class Epilogue>
__global__ void __launch_bounds__(kSimpleThreads, kSimpleBlocks)
    gemm_simple_kernel(A a, B b, int64_t m, int64_t n, int64_t k, int64_t k_per_split,
                       Epilogue epilogue) {
    // Rows are longer by what takes writes along the inner dimension to different banks.
    constexpr int kStrideA = kSimpleTile + 2, kStrideB = kSimpleTile + 4;
    CP_SHARED(float[kSimpleTileK * kStrideA], tile_a);  // (inner, row)
    CP_SHARED(float[kSimpleTileK * kStrideB], tile_b);  // (inner, column)
    const int thread = static_cast<int>(threadIdx.x);
    const int row = thread / 8 * 2, column = thread % 8 * 8;
    const GemmTile tile =
        gemm_tile(blockIdx.x, static_cast<uint32_t>((m + kSimpleTile - 1) / kSimpleTile),
                  static_cast<uint32_t>((n + kSimpleTile - 1) / kSimpleTile));
    const int64_t row_begin = static_cast<int64_t>(tile.row) * kSimpleTile;
    const int64_t column_begin = static_cast<int64_t>(tile.column) * kSimpleTile;
    const int64_t k_begin = static_cast<int64_t>(blockIdx.y) * k_per_split;
    const int64_t k_end = k_begin + k_per_split < k ? k_begin + k_per_split : k;
    float sums[2][8] = {};
    for (int64_t inner = k_begin; inner < k_end; inner += kSimpleTileK) {
        for (int i = thread; i < kSimpleTileK * kSimpleTile; i += kSimpleThreads) {
            // Neighbouring threads read neighbouring addresses whichever way A and B are stored.
            const int ra = a.transposed ? i % kSimpleTile : i / kSimpleTileK;
            const int ka = a.transposed ? i / kSimpleTile : i % kSimpleTileK;
            const bool in_a = row_begin + ra < m && inner + ka < k_end;
            tile_a[ka * kStrideA + ra] = in_a ? a(row_begin + ra, inner + ka) : 0.0f;
            const int cb = b.transposed ? i / kSimpleTileK : i % kSimpleTile;
            const int kb = b.transposed ? i % kSimpleTileK : i / kSimpleTile;
            const bool in_b = column_begin + cb < n && inner + kb < k_end;
            tile_b[kb * kStrideB + cb] = in_b ? b(inner + kb, column_begin + cb) : 0.0f;
        }
        __syncthreads();
        CP_UNROLL
        for (int p = 0; p < kSimpleTileK; ++p) {
            CP_UNROLL
            for (int i = 0; i < 2; ++i) {
                const float va = tile_a[p * kStrideA + row + i];
                CP_UNROLL
                for (int j = 0; j < 8; ++j) {
                    sums[i][j] = __fmaf_rn(va, tile_b[p * kStrideB + column + j], sums[i][j]);
                }
            }
        }
        __syncthreads();
    }
    float result = 0.0f;
    CP_UNROLL
    for (int i = 0; i < 2; ++i) {
        result += epilogue(row_begin + row + i, column_begin + column, sums[i], blockIdx.y);
    }
    epilogue.finish_warp(static_cast<int64_t>(blockIdx.x) * kStoringWarps + thread / 32, result);
}

}  // namespace compact
