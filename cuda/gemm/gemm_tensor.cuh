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

// A tile of C, in parts of 64 x kWarpColumns for each warp. Shapes change nothing about the order
// of summation, and so no bits.
template <int kRows, int kColumns, int kOfWarp>
struct TensorTile {
    static constexpr int kM = kRows, kN = kColumns, kWarpColumns = kOfWarp;
    static constexpr int kWarpsM = kM / 64, kWarps = kWarpsM * (kN / kWarpColumns);
    static constexpr int kThreads = 32 * kWarps;
    // On a multiprocessor. Four warps of 64 x 32 load more each than eight, with more registers
    // than sixteen leave them.
    static constexpr int kBlocks = kWarpColumns == 32 && kWarps == 4 ? 3 : 2;
};
// Warps of 64 x 64 read a third less from shared memory for a product.
using WideTile = TensorTile<128, 128, 64>;
// For operands that are made on the way: what is made for them needs the registers.
using MadeTile = TensorTile<128, 128, 32>;
// Half the operands for a third less intensity: more blocks for a product that has few tiles.
using NarrowTile = TensorTile<128, 64, 32>;

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

// The chunks of every tile of an operand that are one thread's: kCount of one column of chunks,
// kRows rows apart, which is a multiple of the eight rows that the permutation repeats after.
template <bool kInner, int kOuter, int kThreads>
struct ThreadChunks {
    static constexpr int kRowChunks = kInner ? kTileK / 8 : kOuter / 8;
    static constexpr int kCount = kOuter * kTileK / 8 / kThreads;
    static constexpr int kRows = kThreads / kRowChunks;
    static constexpr int kBytes = kRows * kRowChunks * 16;  // from one to the next
    static_assert(kOuter * kTileK / 8 % kThreads == 0 && kRows % 8 == 0);

    int row, column;  // of the first; column in elements
    int offset;       // in shared memory

    __device__ __forceinline__ ThreadChunks() {
        // Unsigned, for divisions to be shifts.
        const uint32_t thread = threadIdx.x;
        row = static_cast<int>(thread / kRowChunks);
        const int chunk = static_cast<int>(thread % kRowChunks);
        column = chunk * 8;
        offset = kInner ? swizzle_inner(row, chunk) : swizzle_outer<kOuter>(row, chunk);
    }
    // Where the tile's part of `outer` and of the summed dimension is contiguous in memory.
    __device__ __forceinline__ int first_outer() const { return kInner ? row : column; }
    __device__ __forceinline__ int first_inner() const { return kInner ? column : row; }
};

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

// An operand is one matrix (outer, inner): `outer` counts rows of A or columns of B, `inner` is the
// summed dimension. Inner-contiguous: its elements along `inner` are neighbours. Tiles<...> of an
// operand are those of one block, for one thread of it; each load() is of the next along `inner`,
// from `inner_begin` up to `inner_end`, with zeros beyond.
struct TileRange {
    int64_t outer_begin, outer, inner_begin, inner_end;
};

// Where a chunk of a tile stands in the stored matrix, and how many of its elements are inside.
struct ChunkPlace {
    int64_t row, column;
    int count;
};
template <bool kInner>
__device__ __forceinline__ ChunkPlace place_of_chunk(const TileRange& range, int row, int column) {
    const int64_t stored_row = (kInner ? range.outer_begin : range.inner_begin) + row;
    const int64_t stored_column = (kInner ? range.inner_begin : range.outer_begin) + column;
    const bool is_inside = stored_row < (kInner ? range.outer : range.inner_end);
    const int count = pack_count(kInner ? range.inner_end : range.outer, stored_column);
    return {stored_row, stored_column, is_inside ? count : 0};
}

// In memory. Whole chunks: rows are aligned to 16 bytes and multiples of eight long, or padded.
template <bool kInner, bool kWholeChunks>
struct StoredOperand {
    static constexpr bool kInnerContiguous = kInner, kAligned = kWholeChunks;
    static constexpr bool kGenerated = false;
    using Table = NoTable;
    const Bf16* data;
    int64_t stride;

    template <int kOuter, int kThreads>
    struct WholeTiles {
        using Chunks = ThreadChunks<kInner, kOuter, kThreads>;
        const Bf16* sources[Chunks::kCount];
        int64_t step;
        int left;  // of the summed dimension, from the first chunk on
        int offset;

        // Beyond the last row of A or column of B the last ones are read again: what comes of them
        // is stored nowhere.
        __device__ __forceinline__ WholeTiles(const StoredOperand& operand, const Table&,
                                              const TileRange& range) {
            const Chunks chunks;
            const int64_t inner = range.inner_begin + chunks.first_inner();
            CP_UNROLL
            for (int i = 0; i < Chunks::kCount; ++i) {
                const int64_t wanted = range.outer_begin + chunks.first_outer();
                const int64_t row = wanted + i * Chunks::kRows;
                const int64_t last_row = range.outer - 1, last_chunk = (range.outer - 1) / 8 * 8;
                sources[i] = kInner ? operand.data +
                                          (row < last_row ? row : last_row) * operand.stride + inner
                                    : operand.data + (inner + i * Chunks::kRows) * operand.stride +
                                          (wanted < last_chunk ? wanted : last_chunk);
            }
            step = kInner ? kTileK : kTileK * operand.stride;
            left = static_cast<int>(range.inner_end - inner);
            offset = chunks.offset;
        }
        __device__ __forceinline__ void load(unsigned char* shared) {
            CP_UNROLL
            for (int i = 0; i < Chunks::kCount; ++i) {
                copy_async_16_if(left > (kInner ? 0 : i * Chunks::kRows),
                                 shared + offset + i * Chunks::kBytes, sources[i]);
                sources[i] += step;
            }
            left -= kTileK;
        }
    };

    // An element at a time.
    template <int kOuter, int kThreads>
    struct AnyTiles {
        using Chunks = ThreadChunks<kInner, kOuter, kThreads>;
        const StoredOperand& operand;
        TileRange range;

        __device__ __forceinline__ AnyTiles(const StoredOperand& from, const Table&,
                                            const TileRange& whole)
            : operand(from), range(whole) {}
        __device__ __forceinline__ void load(unsigned char* shared) {
            const Chunks chunks;
            CP_UNROLL
            for (int i = 0; i < Chunks::kCount; ++i) {
                const auto [row, column, count] =
                    place_of_chunk<kInner>(range, chunks.row + i * Chunks::kRows, chunks.column);
                const Bf16* const source = operand.data + row * operand.stride + column;
                Bf16 values[8];
                CP_UNROLL
                for (int j = 0; j < 8; ++j) values[j] = j < count ? source[j] : Bf16{0};
                *reinterpret_cast<uint4*>(shared + chunks.offset + i * Chunks::kBytes) =
                    packed(values);
            }
            range.inner_begin += kTileK;
        }
    };

    template <int kOuter, int kThreads>
    using Tiles =
        std::conditional_t<kWholeChunks, WholeTiles<kOuter, kThreads>, AnyTiles<kOuter, kThreads>>;
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
    struct Tiles {
        using Chunks = ThreadChunks<kInner, kOuter, kThreads>;
        const PhatKey& key;
        const Table& table;
        uint32_t row, group;

        __device__ __forceinline__ Tiles(const GeneratedOperand& operand, const Table& rows,
                                         const TileRange& range)
            : key(operand.key), table(rows) {
            const Chunks chunks;
            row = operand.row0 + static_cast<uint32_t>(
                                     (kInner ? range.outer_begin : range.inner_begin) + chunks.row);
            group = operand.group0 +
                    static_cast<uint32_t>(
                        ((kInner ? range.inner_begin : range.outer_begin) + chunks.column) / 8);
        }
        __device__ __forceinline__ void load(unsigned char* shared) {
            const Chunks chunks;
            CP_UNROLL
            for (int i = 0; i < Chunks::kCount; ++i) {
                *reinterpret_cast<uint4*>(shared + chunks.offset + i * Chunks::kBytes) =
                    phat_group<kGaussian>(key, row + i * Chunks::kRows, group, table.rows);
            }
            (kInner ? group : row) += kInner ? kTileK / 8 : kTileK;
        }
    };
};

// A quantised matrix, decoded and rounded to bf16.
template <bool kInner>
struct QuantizedOperand {
    // Aligned or not, decoding needs more registers than two blocks on a multiprocessor leave.
    static constexpr bool kInnerContiguous = kInner, kAligned = false, kGenerated = false;
    using Table = Nf4Table;
    QuantizedMatrix matrix;

    template <int kOuter, int kThreads>
    struct Tiles {
        using Chunks = ThreadChunks<kInner, kOuter, kThreads>;
        const QuantizedMatrix& matrix;
        const Table& table;
        TileRange range;

        __device__ __forceinline__ Tiles(const QuantizedOperand& operand, const Table& levels,
                                         const TileRange& whole)
            : matrix(operand.matrix), table(levels), range(whole) {}
        __device__ __forceinline__ void load(unsigned char* shared) {
            const Chunks chunks;
            CP_UNROLL
            for (int i = 0; i < Chunks::kCount; ++i) {
                const auto [row, column, count] =
                    place_of_chunk<kInner>(range, chunks.row + i * Chunks::kRows, chunks.column);
                float values[kPackSize];
                decode_pack(matrix, row * matrix.stride + column, count, table.levels, values);
                *reinterpret_cast<uint4*>(shared + chunks.offset + i * Chunks::kBytes) =
                    packed(values);
            }
            range.inner_begin += kTileK;
        }
    };
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
    const int warp_m = (warp & 1) * 64, warp_n = (warp >> 1) * Tile::kWarpColumns;
    const GemmTile tile = gemm_tile(number, static_cast<uint32_t>((m + Tile::kM - 1) / Tile::kM),
                                    static_cast<uint32_t>((n + Tile::kN - 1) / Tile::kN));
    const int64_t row_begin = static_cast<int64_t>(tile.row) * Tile::kM;
    const int64_t column_begin = static_cast<int64_t>(tile.column) * Tile::kN;
    const int64_t k_begin = static_cast<int64_t>(blockIdx.y) * product.k_per_split;
    const int64_t k_end = k_begin + product.k_per_split < k ? k_begin + product.k_per_split : k;
    const int steps = static_cast<int>((k_end - k_begin + kTileK - 1) / kTileK);

    typename A::template Tiles<Tile::kM, Tile::kThreads> next_a(
        a, table_a, TileRange{row_begin, m, k_begin, k_end});
    typename B::template Tiles<Tile::kN, Tile::kThreads> next_b(
        b, table_b, TileRange{column_begin, n, k_begin, k_end});
    const auto load_stage = [&](int stage) {
        next_a.load(tiles_a + stage * kBytesA);
        next_b.load(tiles_b + stage * kBytesB);
    };

    constexpr int kSlabs = Tile::kWarpColumns / 32;
    float sums[4][kSlabs][4][4] = {};
    CP_UNROLL
    for (int step = 0; step < kStages - 1; ++step) {
        if (step < steps) load_stage(step);
        copy_async_commit();
    }
    int stage = 0, free_stage = kStages - 1;
    const auto after = [](int of) { return of + 1 == kStages ? 0 : of + 1; };
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<kStages - 2>();
        __syncthreads();
        if (step + kStages - 1 < steps) load_stage(free_stage);
        copy_async_commit();
        const unsigned char* const tile_a = tiles_a + stage * kBytesA;
        const unsigned char* const tile_b = tiles_b + stage * kBytesB;
        free_stage = stage;
        stage = after(stage);
        CP_UNROLL
        for (int half = 0; half < kTileK / 16; ++half) {
            uint32_t fragment_a[4][4], fragment_b[2 * kSlabs][4];
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
            for (int j = 0; j < 2 * kSlabs; ++j) {
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
                for (int j = 0; j < 4 * kSlabs; ++j) {
                    const uint32_t pair[2] = {fragment_b[j >> 1][(j & 1) * 2],
                                              fragment_b[j >> 1][(j & 1) * 2 + 1]};
                    mma_16816(sums[i][j / 4][j % 4], fragment_a[i], pair);
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
        CP_UNROLL
        for (int j = 0; j < kSlabs; ++j) {
            result += finish_slab(slab, sums[i][j], row_begin + warp_m + i * 16,
                                  column_begin + warp_n + j * 32, blockIdx.y, product.epilogue);
        }
    }
    product.epilogue.finish_warp(static_cast<int64_t>(number) * Tile::kWarps + warp, result);
}

}  // namespace compact
