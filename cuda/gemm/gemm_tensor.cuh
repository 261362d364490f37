// bf16 product on tensor cores: mma.sync tiles of 128 x 128 x 32 or 128 x 64 x 32, three cp.async
// stages, warps of 64 x 32. Either operand may be stored transposed; ragged edges are zero-filled
// on load. An operand may also be Phat, or B quantised: their tiles are made where others are read.
//
// Limit: tensor-core rate from about 167 (RTX 4090) to 184 (H200) FLOP per byte upwards.
#pragma once

#include <type_traits>

#include "cuda/gemm/gemm_epilogue.cuh"
#include "cuda/gemm/gemm_tiles.cuh"
#include "cuda/projection/phat.cuh"
#include "cuda/quantization/decode.cuh"
#include "cuda/simt/gpu.h"
#include "cuda/simt/launch_group.cuh"

namespace compact {

// A tile of C. Its shape changes nothing about the order of summation, and so no bits.
template <int kRows, int kColumns>
struct TensorTile {
    static constexpr int kM = kRows, kN = kColumns;
    static constexpr int kWarpsM = kM / 64, kWarps = kWarpsM * (kN / 32), kThreads = 32 * kWarps;
    // On a multiprocessor. Four warps load more each, with more registers than sixteen leave them.
    static constexpr int kBlocks = kWarps == 8 ? 2 : 3;
};
using WideTile = TensorTile<128, 128>;
// Half the operands for a third less intensity: more blocks for a product that has few tiles.
using NarrowTile = TensorTile<128, 64>;
static_assert(WideTile::kWarps == kStoringWarps);

inline constexpr int kTileK = 32;
inline constexpr int kStages = 3;

// Chunks of 16 bytes are permuted within a row so that the eight rows of an ldmatrix fall into
// different banks. Inner-contiguous tile: kOuter rows of 4 chunks; outer-contiguous: 32 rows of
// kOuter / 8.
__device__ __forceinline__ int swizzle_inner(int row, int chunk) {
    return row * 64 + ((chunk ^ ((row >> 1) & 3)) << 4);
}
template <int kOuter>
__device__ __forceinline__ int swizzle_outer(int row, int chunk) {
    return row * kOuter * 2 + ((chunk ^ (row & 7)) << 4);
}

// Calls place(offset in shared memory, row, chunk of the row) for every chunk of a tile of an
// operand that is this thread's.
template <bool kInner, int kOuter, int kThreads, class Place>
__device__ __forceinline__ void for_chunks(const Place& place) {
    constexpr int kChunks = kOuter * kTileK / 8;
    constexpr uint32_t kRowChunks = kInner ? kTileK / 8 : kOuter / 8;
    static_assert(kChunks % kThreads == 0);
    CP_UNROLL
    for (int i = 0; i < kChunks / kThreads; ++i) {
        // Unsigned, for divisions to be shifts: signed ones cost the registers that there are not.
        const uint32_t chunk = threadIdx.x + static_cast<uint32_t>(i * kThreads);
        const int row = static_cast<int>(chunk / kRowChunks);
        const int c = static_cast<int>(chunk % kRowChunks);
        place(kInner ? swizzle_inner(row, c) : swizzle_outer<kOuter>(row, c), row, c);
    }
}

// Tables in shared memory, for tiles that are made on the way.
struct NoTable {
    __device__ __forceinline__ void load() {}
};
struct NormalRows {
    NormalCubic rows[kNormalRows];
    __device__ __forceinline__ void load() { load_normal_table(rows); }
};
struct Nf4Table {
    Nf4Levels levels;
    __device__ __forceinline__ void load() { load_nf4_levels(&levels); }
};

template <class Table>
inline constexpr int kTableBytes = std::is_empty_v<Table> ? 0 : static_cast<int>(sizeof(Table));

__device__ __forceinline__ uint4 packed_chunk(const Bf16 (&values)[8]) {
    const auto pair = [&](int i) { return values[i] | static_cast<uint32_t>(values[i + 1]) << 16; };
    return {pair(0), pair(2), pair(4), pair(6)};
}

// An operand is one matrix (outer, inner): `outer` counts rows of A or columns of B, `inner` is the
// summed dimension. Inner-contiguous: its elements along `inner` are neighbours.
template <bool kInner, bool kAlignedRows>
struct StoredOperand {
    static constexpr bool kInnerContiguous = kInner, kAligned = kAlignedRows;
    static constexpr bool kGenerated = false;
    using Table = NoTable;
    const Bf16* data;
    int64_t stride;

    // Eight elements from (row, column) of the stored (rows, columns) matrix, zero outside it.
    __device__ __forceinline__ void load_chunk(unsigned char* shared, int64_t row, int64_t column,
                                               int64_t rows, int64_t columns) const {
        const int64_t left = row < rows ? columns - column : 0;
        const int valid = left >= 8 ? 8 : (left > 0 ? static_cast<int>(left) : 0);
        const Bf16* source = valid > 0 ? data + row * stride + column : data;
        if constexpr (kAligned) {
            copy_async_16(shared, source, valid * 2);
        } else {
            Bf16 values[8];
            CP_UNROLL
            for (int i = 0; i < 8; ++i) values[i] = i < valid ? source[i] : Bf16{0};
            *reinterpret_cast<uint4*>(shared) = packed_chunk(values);
        }
    }

    template <int kOuter, int kThreads>
    __device__ __forceinline__ void load_tile(unsigned char* shared, const Table&,
                                              int64_t outer_begin, int64_t inner_begin,
                                              int64_t outer, int64_t inner_end) const {
        for_chunks<kInner, kOuter, kThreads>([&](int offset, int row, int c) {
            if constexpr (kInner) {
                load_chunk(shared + offset, outer_begin + row, inner_begin + c * 8, outer,
                           inner_end);
            } else {
                load_chunk(shared + offset, inner_begin + row, outer_begin + c * 8, inner_end,
                           outer);
            }
        });
    }
};

// Gaussian Phat from (row0, 8 * group0) on: rows are `outer` where it is inner-contiguous (A), else
// `inner` (B). Beyond the end of the sum the other operand is zero and Phat is finite, so its edges
// need no zeros.
template <bool kInner>
struct GeneratedOperand {
    static constexpr bool kInnerContiguous = kInner, kAligned = true, kGenerated = true;
    using Table = NormalRows;
    PhatKey key;
    uint32_t row0, group0;

    template <int kOuter, int kThreads>
    __device__ __forceinline__ void load_tile(unsigned char* shared, const Table& table,
                                              int64_t outer_begin, int64_t inner_begin, int64_t,
                                              int64_t) const {
        const auto row_begin = static_cast<uint32_t>(kInner ? outer_begin : inner_begin);
        const auto group_begin = static_cast<uint32_t>((kInner ? inner_begin : outer_begin) / 8);
        for_chunks<kInner, kOuter, kThreads>([&](int offset, int row, int c) {
            *reinterpret_cast<uint4*>(shared + offset) =
                phat_group<kGaussian>(key, row0 + row_begin + static_cast<uint32_t>(row),
                                      group0 + group_begin + static_cast<uint32_t>(c), table.rows);
        });
    }
};

// A quantised matrix, decoded and rounded to bf16.
template <bool kInner>
struct QuantizedOperand {
    // Aligned or not, decoding needs more registers than two blocks on a multiprocessor leave.
    static constexpr bool kInnerContiguous = kInner, kAligned = false, kGenerated = false;
    using Table = Nf4Table;
    QuantizedMatrix matrix;

    __device__ __forceinline__ void load_chunk(unsigned char* shared, const Nf4Levels& levels,
                                               int64_t row, int64_t column, int64_t rows,
                                               int64_t columns) const {
        const int64_t left = row < rows ? columns - column : 0;
        const int valid = left >= 8 ? 8 : (left > 0 ? static_cast<int>(left) : 0);
        float values[kPackSize];
        decode_pack(matrix, row * matrix.stride + column, valid, levels, values);
        Bf16 rounded[kPackSize];
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) rounded[i] = bf16_from_float(values[i]);
        *reinterpret_cast<uint4*>(shared) = packed_chunk(rounded);
    }

    template <int kOuter, int kThreads>
    __device__ __forceinline__ void load_tile(unsigned char* shared, const Table& table,
                                              int64_t outer_begin, int64_t inner_begin,
                                              int64_t outer, int64_t inner_end) const {
        for_chunks<kInner, kOuter, kThreads>([&](int offset, int row, int c) {
            if constexpr (kInner) {
                load_chunk(shared + offset, table.levels, outer_begin + row, inner_begin + c * 8,
                           outer, inner_end);
            } else {
                load_chunk(shared + offset, table.levels, inner_begin + row, outer_begin + c * 8,
                           inner_end, outer);
            }
        });
    }
};

template <class Tile, class A, class B>
inline constexpr int kTensorSharedBytes =
    kStages * (Tile::kM + Tile::kN) * kTileK * 2 + kTableBytes<typename A::Table> +
    kTableBytes<typename B::Table>;

// What may differ between products of one A.
template <class B, class Epilogue>
struct TensorProduct {
    B b;
    int64_t n, splits, k_per_split;
    Epilogue epilogue;
};

// Blocks along x are tiles of C, of one product after the other; along y parts of the inner
// dimension. Rows that are not aligned need more registers than two blocks on a multiprocessor
// leave.
template <class Tile, class A, class B, class Epilogue, int kMembers>
__global__ void __launch_bounds__(Tile::kThreads, A::kAligned&& B::kAligned ? Tile::kBlocks : 1)
    gemm_bf16_kernel(
        A a, int64_t m, int64_t k,
        const CP_GRID_CONSTANT LaunchGroup<TensorProduct<B, Epilogue>, kMembers> products) {
    uint32_t number = 0;
    const TensorProduct<B, Epilogue>& product = products.of_block(&number);
    if (kMembers > 1 && blockIdx.y >= product.splits) return;
    const B b = product.b;
    const int64_t n = product.n;
    constexpr int kBytesA = Tile::kM * kTileK * 2, kBytesB = Tile::kN * kTileK * 2;  // of a stage
    static_assert(kStages * (kBytesA + kBytesB) >= Tile::kWarps * kSlabFloats * 4);
    CP_SHARED_DYNAMIC(unsigned char, shared);
    unsigned char* const tiles_a = shared;
    unsigned char* const tiles_b = shared + kStages * kBytesA;
    unsigned char* const tables = tiles_b + kStages * kBytesB;
    auto& table_a = *reinterpret_cast<typename A::Table*>(tables);
    auto& table_b = *reinterpret_cast<typename B::Table*>(tables + kTableBytes<typename A::Table>);
    table_a.load();
    table_b.load();
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    static_assert(Tile::kWarpsM == 2);
    const int warp_m = (warp & 1) * 64, warp_n = (warp >> 1) * 32;
    const GemmTile tile = gemm_tile(number, static_cast<uint32_t>((m + Tile::kM - 1) / Tile::kM),
                                    static_cast<uint32_t>((n + Tile::kN - 1) / Tile::kN));
    const int64_t row_begin = static_cast<int64_t>(tile.row) * Tile::kM;
    const int64_t column_begin = static_cast<int64_t>(tile.column) * Tile::kN;
    const int64_t k_begin = static_cast<int64_t>(blockIdx.y) * product.k_per_split;
    const int64_t k_end = k_begin + product.k_per_split < k ? k_begin + product.k_per_split : k;
    const int steps = static_cast<int>((k_end - k_begin + kTileK - 1) / kTileK);

    const auto load_stage = [&](int step) {
        const int stage = step % kStages;
        const int64_t inner = k_begin + static_cast<int64_t>(step) * kTileK;
        a.template load_tile<Tile::kM, Tile::kThreads>(tiles_a + stage * kBytesA, table_a,
                                                       row_begin, inner, m, k_end);
        b.template load_tile<Tile::kN, Tile::kThreads>(tiles_b + stage * kBytesB, table_b,
                                                       column_begin, inner, n, k_end);
    };

    float sums[4][4][4] = {};
    CP_UNROLL
    for (int step = 0; step < kStages - 1; ++step) {
        if (step < steps) load_stage(step);
        copy_async_commit();
    }
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<kStages - 2>();
        __syncthreads();
        if (step + kStages - 1 < steps) load_stage(step + kStages - 1);
        copy_async_commit();
        const unsigned char* const tile_a = tiles_a + step % kStages * kBytesA;
        const unsigned char* const tile_b = tiles_b + step % kStages * kBytesB;
        CP_UNROLL
        for (int half = 0; half < kTileK / 16; ++half) {
            uint32_t fragment_a[4][4], fragment_b[2][4];
            CP_UNROLL
            for (int i = 0; i < 4; ++i) {
                const int row = warp_m + i * 16;
                if constexpr (A::kInnerContiguous) {
                    load_matrix_x4<false>(
                        fragment_a[i],
                        tile_a + swizzle_inner(row + (lane & 15), half * 2 + (lane >> 4)));
                } else {
                    load_matrix_x4<true>(
                        fragment_a[i],
                        tile_a + swizzle_outer<Tile::kM>(half * 16 + (lane & 7) + (lane >> 4) * 8,
                                                         (row >> 3) + ((lane >> 3) & 1)));
                }
            }
            CP_UNROLL
            for (int j = 0; j < 2; ++j) {
                const int column = warp_n + j * 16;
                if constexpr (B::kInnerContiguous) {
                    load_matrix_x4<false>(
                        fragment_b[j], tile_b + swizzle_inner(column + (lane & 7) + (lane >> 4) * 8,
                                                              half * 2 + ((lane >> 3) & 1)));
                } else {
                    load_matrix_x4<true>(fragment_b[j], tile_b + swizzle_outer<Tile::kN>(
                                                                     half * 16 + (lane & 15),
                                                                     (column >> 3) + (lane >> 4)));
                }
            }
            CP_UNROLL
            for (int i = 0; i < 4; ++i) {
                CP_UNROLL
                for (int j = 0; j < 4; ++j) {
                    const uint32_t pair[2] = {fragment_b[j >> 1][(j & 1) * 2],
                                              fragment_b[j >> 1][(j & 1) * 2 + 1]};
                    mma_16816(sums[i][j], fragment_a[i], pair);
                }
            }
        }
    }
    copy_async_wait<0>();
    __syncthreads();  // the tiles are done with
    float* const slab = reinterpret_cast<float*>(shared) + warp * kSlabFloats;
    float result = 0.0f;
    CP_UNROLL
    for (int i = 0; i < 4; ++i) {
        result += finish_slab(slab, sums[i], row_begin + warp_m + i * 16, column_begin + warp_n,
                              blockIdx.y, product.epilogue);
    }
    product.epilogue.finish_warp(static_cast<int64_t>(number) * Tile::kWarps + warp, result);
}

}  // namespace compact
