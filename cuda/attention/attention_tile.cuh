// Tiles of attention on tensor cores: rows of one head in shared memory, 16 of them a warp.
//
// A tile has kSize columns, the head size rounded up to 32, 64, 96 or 128; what is missing is zero.
#pragma once

#include <cmath>

#include "cuda/attention/attention.h"
#include "cuda/simt/gpu.h"
#include "native/base/bf16.h"

namespace compact {

inline constexpr int kAttentionThreads = 128;  // four warps
inline constexpr int kAttentionRows = 64;      // of a block: 16 a warp
inline constexpr float kLog2E = 1.4426950409f;

// 2^x, relative error below 2^-22.
__device__ __forceinline__ float exp2_fast(float x) {
#if defined(CP_DEVICE_CODE)
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
#else
    return exp2f(x);
#endif
}

// Absolute error below 2^-21.
__device__ __forceinline__ float tanh_fast(float x) {
    const float power = exp2_fast(x * (2.0f * kLog2E));
#if defined(CP_DEVICE_CODE)
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(power + 1.0f));
#else
    const float inverse = 1.0f / (power + 1.0f);
#endif
    return __fmaf_rn(-2.0f, inverse, 1.0f);
}

// Scores as exponents of 2: `factor` times what a product q k becomes. With a soft cap that is a
// tangent, else it is the product itself.
template <bool kCapped>
struct Exponents {
    float factor, inner;

    __device__ __forceinline__ explicit Exponents(const AttentionShape& shape)
        : factor((kCapped ? shape.soft_cap.cap : shape.scale) * kLog2E),
          inner(kCapped ? shape.scale / shape.soft_cap.cap : 1.0f) {}

    __device__ __forceinline__ float operator()(float product) const {
        return kCapped ? tanh_fast(product * inner) : product;
    }
    // Derivative of a score by scale q k.
    static __device__ __forceinline__ float slope(float tangent) {
        return kCapped ? __fmaf_rn(-tangent, tangent, 1.0f) : 1.0f;
    }
};

// Two numbers as bf16 in one register, `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if defined(CP_DEVICE_CODE)
    uint32_t result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
#else
    return bf16_from_float(low) | static_cast<uint32_t>(bf16_from_float(high)) << 16;
#endif
}

// What the 16-byte chunks of a row are exchanged by, so that the eight rows of an ldmatrix fall
// into different banks. The same for rows that are a multiple of 8 apart.
template <int kSize>
__device__ __forceinline__ int row_permutation(int row) {
    return kSize % 64 == 0 ? row & 7 : (row >> 1) & 3;
}

template <int kSize>
__device__ __forceinline__ int tile_offset(int row, int chunk) {
    return row * kSize * 2 + ((chunk ^ row_permutation<kSize>(row)) << 4);
}

// The chunks that one lane reads: 2 * pair + half of one row in each block of 16 rows.
template <int kSize>
struct LaneChunks {
    int row_offset, half_offset;

    __device__ __forceinline__ LaneChunks(int row, int half)
        : row_offset(row * kSize * 2), half_offset((half ^ row_permutation<kSize>(row)) << 4) {}

    __device__ __forceinline__ const unsigned char* at(const unsigned char* tile, int block,
                                                       int pair) const {
        return tile + row_offset + (half_offset ^ (pair << 5)) + block * 16 * kSize * 2;
    }
};

// Starts copying kRows rows of `columns` <= kSize elements; rows from `valid` on become zero.
template <int kSize, int kRows>
__device__ __forceinline__ void load_rows(unsigned char* tile, const Bf16* source, int64_t stride,
                                          int64_t valid, int64_t columns) {
    constexpr int kChunks = kSize / 8, kRowsAtOnce = kAttentionThreads / kChunks;
    const int first_row = static_cast<int>(threadIdx.x) / kChunks;
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    if (first_row >= kRowsAtOnce) return;
    const int rows = chunk * 8 >= columns ? 0 : (valid < kRows ? static_cast<int>(valid) : kRows);
    const Bf16* from = source + first_row * stride + chunk * 8;
    for (int row = first_row; row < kRows; row += kRowsAtOnce) {
        copy_async_16(tile + tile_offset<kSize>(row, chunk), row < rows ? from : source,
                      row < rows ? 16 : 0);
        from += kRowsAtOnce * stride;
    }
}

// scores (16, kInner) = rows first_row ... + 15 of x times the rows of u, both tiles of kSize
// columns.
template <int kSize, int kInner>
__device__ __forceinline__ void multiply_rows(float (&scores)[kInner / 8][4],
                                              const unsigned char* x, int first_row,
                                              const unsigned char* u) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const LaneChunks<kSize> of_x(first_row + (lane & 15), lane >> 4);
    const LaneChunks<kSize> of_u((lane & 7) + (lane >> 4) * 8, (lane >> 3) & 1);
    CP_UNROLL
    for (int j = 0; j < kInner / 8; ++j) {
        CP_UNROLL
        for (int i = 0; i < 4; ++i) scores[j][i] = 0.0f;
    }
    CP_UNROLL
    for (int step = 0; step < kSize / 16; ++step) {
        uint32_t a[4];
        load_matrix_x4<false>(a, of_x.at(x, 0, step));
        CP_UNROLL
        for (int j = 0; j < kInner / 16; ++j) {
            uint32_t b[4];
            load_matrix_x4<false>(b, of_u.at(u, j, step));
            const uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
            mma_16816(scores[2 * j], a, left);
            mma_16816(scores[2 * j + 1], a, right);
        }
    }
}

// sums (16, kSize) += weights (16, kInner), rounded to bf16, times the tile (kInner, kSize).
template <int kSize, int kInner>
__device__ __forceinline__ void add_weighted_rows(float (&sums)[kSize / 8][4],
                                                  const float (&weights)[kInner / 8][4],
                                                  const unsigned char* tile) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const LaneChunks<kSize> of_tile(lane & 15, lane >> 4);
    CP_UNROLL
    for (int step = 0; step < kInner / 16; ++step) {
        // The sums of one product lie where the next one wants its left operand.
        const float(&even)[4] = weights[2 * step], (&odd)[4] = weights[2 * step + 1];
        const uint32_t a[4] = {pack_bf16(even[0], even[1]), pack_bf16(even[2], even[3]),
                               pack_bf16(odd[0], odd[1]), pack_bf16(odd[2], odd[3])};
        CP_UNROLL
        for (int j = 0; j < kSize / 16; ++j) {
            uint32_t b[4];
            load_matrix_x4<true>(b, of_tile.at(tile, step, j));
            const uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
            mma_16816(sums[2 * j], a, left);
            mma_16816(sums[2 * j + 1], a, right);
        }
    }
}

// Writes the 16 rows of a warp, the upper and lower half times a factor each, through the warp's
// own rows of `tile`, which no other warp reads.
template <int kSize>
__device__ __forceinline__ void store_rows(const float (&sums)[kSize / 8][4], float upper_factor,
                                           float lower_factor, unsigned char* tile, int first_row,
                                           Bf16* target, int64_t stride, int64_t valid,
                                           int64_t columns) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int row = first_row + (lane >> 2), within = (lane & 3) * 4;
    __syncwarp();
    CP_UNROLL
    for (int j = 0; j < kSize / 8; ++j) {
        *reinterpret_cast<uint32_t*>(tile + tile_offset<kSize>(row, j) + within) =
            pack_bf16(sums[j][0] * upper_factor, sums[j][1] * upper_factor);
        *reinterpret_cast<uint32_t*>(tile + tile_offset<kSize>(row + 8, j) + within) =
            pack_bf16(sums[j][2] * lower_factor, sums[j][3] * lower_factor);
    }
    __syncwarp();
    constexpr int kChunks = kSize / 8;
    CP_UNROLL
    for (int i = 0; i < 16 * kChunks / 32; ++i) {
        const int at = lane + i * 32;
        const int from = first_row + at / kChunks, chunk = at % kChunks;
        if (from < valid && chunk * 8 < columns) {
            *reinterpret_cast<uint4*>(target + from * stride + chunk * 8) =
                *reinterpret_cast<const uint4*>(tile + tile_offset<kSize>(from, chunk));
        }
    }
}

// Over the four lanes that share a row of scores.
template <class Combine>
__device__ __forceinline__ float quad_reduce(float value, Combine combine) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, 1));
    return combine(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

// Calls body with two constants: the tile width for a head size up to 128, and whether scores are
// capped.
template <class Body>
void with_tile_kind(const AttentionShape& shape, Body&& body) {
    const auto with_size = [&](auto size) {
        if (shape.soft_cap.exists()) {
            body(size, std::true_type{});
        } else {
            body(size, std::false_type{});
        }
    };
    if (shape.head_size <= 32) {
        with_size(std::integral_constant<int, 32>{});
    } else if (shape.head_size <= 64) {
        with_size(std::integral_constant<int, 64>{});
    } else if (shape.head_size <= 96) {
        with_size(std::integral_constant<int, 96>{});
    } else {
        with_size(std::integral_constant<int, 128>{});
    }
}

// Head sizes that tensor cores take; larger ones and f32 run on CUDA cores.
inline constexpr int64_t kMaxTileSize = 128;

}  // namespace compact
