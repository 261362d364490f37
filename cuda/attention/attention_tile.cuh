// Tiles of attention on tensor cores: rows of one head in shared memory, a block of 16 or two of
// them a warp.
//
// A tile has kSize columns, the head size rounded up to 32, 64, 96 or 128; what is missing is zero.
#pragma once

#include <cmath>

#include "cuda/attention/attention.h"
#include "cuda/simt/gpu.h"
#include "native/base/bf16.h"

namespace compact {

inline constexpr int kAttentionThreads = 128;  // four warps
inline constexpr int kAttentionRows = 64;      // of a block of threads in backward: 16 a warp
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
        // Chunks are exchanged within this many pairs: what is beyond is added, and needs no
        // address.
        constexpr int kPairs = kSize % 64 == 0 ? 4 : 2;
        return tile + row_offset + (half_offset ^ (pair % kPairs << 5)) +
               pair / kPairs * kPairs * 32 + block * 16 * kSize * 2;
    }
};

// Starts copying kRows rows of `columns` <= kSize elements; rows from `valid` on become zero.
template <int kSize, int kRows>
__device__ __forceinline__ void load_rows(unsigned char* tile, const Bf16* source, int64_t stride,
                                          int64_t valid, int64_t columns) {
    constexpr int kChunks = kSize / 8, kRowsAtOnce = kAttentionThreads / kChunks / 8 * 8;
    static_assert(kRows % kRowsAtOnce == 0);
    const int first_row = static_cast<int>(threadIdx.x) / kChunks;
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    if (first_row >= kRowsAtOnce) return;
    const int rows = chunk * 8 >= columns ? 0 : (valid < kRows ? static_cast<int>(valid) : kRows);
    const Bf16* from = source + first_row * stride + chunk * 8;
    unsigned char* const to = tile + tile_offset<kSize>(first_row, chunk);
    CP_UNROLL
    for (int i = 0; i < kRows / kRowsAtOnce; ++i) {
        copy_async_16_if(first_row + i * kRowsAtOnce < rows, to + i * kRowsAtOnce * kSize * 2,
                         from);
        from += kRowsAtOnce * stride;
    }
}

// The left operand of a product: 16 rows of a tile from first_row on, for one lane.
template <int kSize>
struct TileRows {
    const unsigned char* tile;
    LaneChunks<kSize> chunks;

    __device__ __forceinline__ TileRows(const unsigned char* of, int first_row, int lane)
        : tile(of), chunks(first_row + (lane & 15), lane >> 4) {}
    // Columns 16 * step ... + 15 of the block-th 16 rows.
    __device__ __forceinline__ void load(uint32_t (&fragment)[4], int block, int step) const {
        load_matrix_x4<false>(fragment, chunks.at(tile, block, step));
    }
};

// The same, kept in registers.
template <int kSize, int kBlocks>
struct HeldRows {
    uint32_t fragments[kBlocks][kSize / 16][4];

    __device__ __forceinline__ explicit HeldRows(const TileRows<kSize>& rows) {
        CP_UNROLL
        for (int block = 0; block < kBlocks; ++block) {
            CP_UNROLL
            for (int step = 0; step < kSize / 16; ++step) {
                rows.load(fragments[block][step], block, step);
            }
        }
    }
    __device__ __forceinline__ void load(uint32_t (&fragment)[4], int block, int step) const {
        CP_UNROLL
        for (int i = 0; i < 4; ++i) fragment[i] = fragments[block][step][i];
    }
};

// scores (16 kBlocks, kInner) = rows of x times the rows of u, a tile of kSize columns.
template <int kSize, int kInner, int kBlocks, class Rows>
__device__ __forceinline__ void multiply_rows(float (&scores)[kBlocks][kInner / 8][4],
                                              const Rows& x, const unsigned char* u) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const LaneChunks<kSize> of_u((lane & 7) + (lane >> 4) * 8, (lane >> 3) & 1);
    CP_UNROLL
    for (int j = 0; j < kBlocks * kInner / 2; ++j) {
        scores[j / (kInner / 2)][j / 4 % (kInner / 8)][j % 4] = 0.0f;
    }
    CP_UNROLL
    for (int step = 0; step < kSize / 16; ++step) {
        uint32_t a[kBlocks][4];
        CP_UNROLL
        for (int block = 0; block < kBlocks; ++block) x.load(a[block], block, step);
        CP_UNROLL
        for (int j = 0; j < kInner / 16; ++j) {
            uint32_t b[4];
            load_matrix_x4<false>(b, of_u.at(u, j, step));
            const uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
            CP_UNROLL
            for (int block = 0; block < kBlocks; ++block) {
                mma_16816(scores[block][2 * j], a[block], left);
                mma_16816(scores[block][2 * j + 1], a[block], right);
            }
        }
    }
}

// sums (16 kBlocks, kSize) += weights (16 kBlocks, kInner), rounded to bf16, times the tile
// (kInner, kSize).
template <int kSize, int kInner, int kBlocks>
__device__ __forceinline__ void add_weighted_rows(float (&sums)[kBlocks][kSize / 8][4],
                                                  const float (&weights)[kBlocks][kInner / 8][4],
                                                  const unsigned char* tile) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const LaneChunks<kSize> of_tile(lane & 15, lane >> 4);
    CP_UNROLL
    for (int step = 0; step < kInner / 16; ++step) {
        // The sums of one product lie where the next one wants its left operand.
        uint32_t a[kBlocks][4];
        CP_UNROLL
        for (int block = 0; block < kBlocks; ++block) {
            const float(&even)[4] = weights[block][2 * step];
            const float(&odd)[4] = weights[block][2 * step + 1];
            a[block][0] = bf16_pair(even[0], even[1]);
            a[block][1] = bf16_pair(even[2], even[3]);
            a[block][2] = bf16_pair(odd[0], odd[1]);
            a[block][3] = bf16_pair(odd[2], odd[3]);
        }
        CP_UNROLL
        for (int j = 0; j < kSize / 16; ++j) {
            uint32_t b[4];
            load_matrix_x4<true>(b, of_tile.at(tile, step, j));
            const uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
            CP_UNROLL
            for (int block = 0; block < kBlocks; ++block) {
                mma_16816(sums[block][2 * j], a[block], left);
                mma_16816(sums[block][2 * j + 1], a[block], right);
            }
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
            bf16_pair(sums[j][0] * upper_factor, sums[j][1] * upper_factor);
        *reinterpret_cast<uint32_t*>(tile + tile_offset<kSize>(row + 8, j) + within) =
            bf16_pair(sums[j][2] * lower_factor, sums[j][3] * lower_factor);
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

// What a kernel has to know of scores. Plain ones are seen by all queries, or by those from their
// own place on; others may be hidden by masks, windows and the beginnings of documents.
enum ScoreKind { kPlainScores, kMaskedScores, kCappedScores };

// Calls body with two constants: the tile width for a head size up to 128, and the kind of scores.
template <class Body>
void with_tile_kind(const AttentionShape& shape, Body&& body) {
    const bool is_masked = shape.mask != nullptr || shape.hides_earlier_keys();
    const auto with_size = [&](auto size) {
        if (shape.soft_cap.exists()) {
            body(size, std::integral_constant<ScoreKind, kCappedScores>{});
        } else if (is_masked) {
            body(size, std::integral_constant<ScoreKind, kMaskedScores>{});
        } else {
            body(size, std::integral_constant<ScoreKind, kPlainScores>{});
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
