// bf16 product for compute capability 9.0: tiles of 128 x 256 x 64 in four stages of shared memory.
// A block has three warpgroups: a thread of the first has the hardware copy tiles, the other two
// multiply, 64 rows each, with instructions that read both operands from shared memory. One block
// on each multiprocessor takes tile after tile, of one product or of several with the same A; while
// one is finished, copies for the next are under way. Rows of both operands must be aligned to 16
// bytes.
//
// Limit: tensor-core rate; 1024 cycles for each step of 64, in which 48 KB come from the L2 cache.
#pragma once

#include "cuda/gemm/gemm_epilogue.cuh"
#include "cuda/gemm/gemm_tiles.cuh"
#include "cuda/simt/hopper.h"
#include "cuda/simt/launch_group.cuh"

namespace compact {

inline constexpr int kWarpgroupTileM = 128, kWarpgroupTileN = 256, kWarpgroupTileK = 64;
inline constexpr int kWarpgroupThreads = 384, kWarpgroupStages = 4;
inline constexpr int kWarpgroupBytesA = kWarpgroupTileM * kWarpgroupTileK * 2;
inline constexpr int kWarpgroupBytesB = kWarpgroupTileN * kWarpgroupTileK * 2;
inline constexpr int kWarpgroupBytes = kWarpgroupBytesA + kWarpgroupBytesB;
inline constexpr int kBlockBytes =
    kWarpgroupTileK * kSwizzleBytes;  // 64 inner elements of 64 others
inline constexpr int kConsumerWarps = 8;
static_assert(kConsumerWarps == kStoringWarps);
// Stages, slabs of the epilogue, barriers, and room to begin at a multiple of 1024.
inline constexpr int kWarpgroupSharedBytes = kWarpgroupStages * kWarpgroupBytes +
                                             kConsumerWarps * kSlabFloats * 4 +
                                             2 * kWarpgroupStages * 8 + kSwizzleAtomBytes;
// Of the 168 that each thread starts with: three groups of 128 threads share 65536.
inline constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;

// A product cut into pieces of work: tiles of C, and parts of the inner dimension.
struct WarpgroupShape {
    int32_t tiles_m, tiles_n, splits;
    int64_t k, k_per_split;

    int64_t pieces() const { return static_cast<int64_t>(tiles_m) * tiles_n * splits; }
};

struct WarpgroupPiece {
    int32_t row, column;  // where the tile begins
    int32_t split, k_begin, steps;
};

__device__ __forceinline__ WarpgroupPiece warpgroup_piece(const WarpgroupShape& shape,
                                                          uint32_t number) {
    const auto tiles_m = static_cast<uint32_t>(shape.tiles_m);
    const auto tiles_n = static_cast<uint32_t>(shape.tiles_n);
    const int64_t split = number / (tiles_m * tiles_n);
    const GemmTile tile = gemm_tile(number % (tiles_m * tiles_n), tiles_m, tiles_n);
    const int64_t k_begin = split * shape.k_per_split;
    const int64_t left = shape.k - k_begin;
    const int64_t length = left < shape.k_per_split ? left : shape.k_per_split;
    WarpgroupPiece piece;
    piece.row = static_cast<int32_t>(tile.row * kWarpgroupTileM);
    piece.column = static_cast<int32_t>(tile.column * kWarpgroupTileN);
    piece.split = static_cast<int32_t>(split);
    piece.k_begin = static_cast<int32_t>(k_begin);
    piece.steps =
        length > 0 ? static_cast<int32_t>((length + kWarpgroupTileK - 1) / kWarpgroupTileK) : 0;
    return piece;
}

// What products of one A do not have in common.
template <class Epilogue>
struct WarpgroupProduct {
    TensorMap map_b;
    WarpgroupShape shape;
    Epilogue epilogue;
};

// The stage that is next, and the parity of its current use.
struct StageRing {
    int stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == kWarpgroupStages) {
            stage = 0;
            parity ^= 1;
        }
    }
};

#if defined(CP_HOPPER_CODE)
// A tile of one operand with `extent` rows of A or columns of B; in boxes of 64 of them where they
// are the contiguous dimension, for a row in the swizzle is no longer.
template <bool kInnerContiguous>
__device__ __forceinline__ void copy_tile(unsigned char* shared, const TensorMap& map, int extent,
                                          int32_t outer, int32_t inner, uint64_t* barrier) {
    if constexpr (kInnerContiguous) {
        copy_box(shared, map, outer, inner, barrier);
    } else {
        for (int i = 0; i < extent / 64; ++i) {
            copy_box(shared + i * kBlockBytes, map, inner, outer + i * 64, barrier);
        }
    }
}
#endif

template <bool kInnerContiguousA, bool kInnerContiguousB, class Epilogue, int kMembers>
__global__ void __launch_bounds__(kWarpgroupThreads, 1) gemm_warpgroup_kernel(
    const CP_GRID_CONSTANT TensorMap map_a,
    const CP_GRID_CONSTANT LaunchGroup<WarpgroupProduct<Epilogue>, kMembers> products) {
#if defined(CP_HOPPER_CODE)
    CP_SHARED_DYNAMIC(unsigned char, dynamic);
    unsigned char* const stages = dynamic + (-shared_address(dynamic) & (kSwizzleAtomBytes - 1));
    auto* const slabs = reinterpret_cast<float*>(stages + kWarpgroupStages * kWarpgroupBytes);
    // A stage is full when its bytes are there, and empty when every warp that multiplies is done
    // with it.
    auto* const full = reinterpret_cast<uint64_t*>(slabs + kConsumerWarps * kSlabFloats);
    uint64_t* const empty = full + kWarpgroupStages;
    if (threadIdx.x == 0) {
        for (int i = 0; i < kWarpgroupStages; ++i) {
            init_barrier(full + i, 1);
            init_barrier(empty + i, kConsumerWarps);
        }
    }
    publish_barriers();
    const int group = static_cast<int>(threadIdx.x) / 128;
    const uint32_t pieces = products.num_blocks();
    StageRing ring;
    if (group == 0) {
        give_registers<kProducerRegisters>();
        if (threadIdx.x != 0) return;
        for (uint32_t number = blockIdx.x; number < pieces; number += gridDim.x) {
            uint32_t own = 0;
            const WarpgroupProduct<Epilogue>& product = products.of_number(number, &own);
            const WarpgroupPiece piece = warpgroup_piece(product.shape, own);
            for (int step = 0; step < piece.steps; ++step, ring.advance()) {
                unsigned char* const stage = stages + ring.stage * kWarpgroupBytes;
                uint64_t* const arrived = full + ring.stage;
                const int32_t inner = piece.k_begin + step * kWarpgroupTileK;
                wait_for_phase(empty + ring.stage, ring.parity ^ 1);
                arrive_and_expect(arrived, kWarpgroupBytes);
                copy_tile<kInnerContiguousA>(stage, map_a, kWarpgroupTileM, piece.row, inner,
                                             arrived);
                copy_tile<kInnerContiguousB>(stage + kWarpgroupBytesA, product.map_b,
                                             kWarpgroupTileN, piece.column, inner, arrived);
            }
        }
    } else {
        take_registers<kConsumerRegisters>();
        const int warp = static_cast<int>(threadIdx.x) / 32 - 4;  // of those that multiply
        const bool first_lane = threadIdx.x % 32 == 0;
        const int rows = (group - 1) * 64;
        // Either way it is stored, 64 rows of A fill 8 KB.
        const uint64_t tile_a = tile_descriptor(stages + (group - 1) * kBlockBytes, kBlockBytes);
        const uint64_t tile_b = tile_descriptor(stages + kWarpgroupBytesA, kBlockBytes);
        float sums[8][4][4];
        for (uint32_t number = blockIdx.x; number < pieces; number += gridDim.x) {
            uint32_t own = 0;
            const WarpgroupProduct<Epilogue>& product = products.of_number(number, &own);
            const WarpgroupPiece piece = warpgroup_piece(product.shape, own);
            if (piece.steps == 0) {
                CP_UNROLL
                for (int i = 0; i < 128; ++i) sums[i / 16][i / 4 % 4][i % 4] = 0.0f;
            }
            int previous = 0;
            for (int step = 0; step < piece.steps; ++step) {
                const auto offset = static_cast<uint64_t>(ring.stage * (kWarpgroupBytes >> 4));
                wait_for_phase(full + ring.stage, ring.parity);
                hold(sums);
                begin_products();
                CP_UNROLL
                for (int i = 0; i < kWarpgroupTileK / 16; ++i) {
                    product_64x256x16<kInnerContiguousA, kInnerContiguousB>(
                        sums, tile_a + offset + i * kNextSixteen<kInnerContiguousA>,
                        tile_b + offset + i * kNextSixteen<kInnerContiguousB>, step + i > 0);
                }
                commit_products();
                wait_for_products<1>();  // those of the step before
                if (step > 0 && first_lane) arrive(empty + previous);
                previous = ring.stage;
                ring.advance();
            }
            wait_for_products<0>();
            hold(sums);
            if (piece.steps > 0 && first_lane) arrive(empty + previous);
            float result = 0.0f;
            CP_UNROLL
            for (int s = 0; s < 8; ++s) {
                result += finish_slab(slabs + warp * kSlabFloats, sums[s],
                                      static_cast<int64_t>(piece.row) + rows + warp % 4 * 16,
                                      static_cast<int64_t>(piece.column) + s * 32, piece.split,
                                      product.epilogue);
            }
            product.epilogue.finish_warp(static_cast<int64_t>(own) * kStoringWarps + warp, result);
        }
    }
#elif defined(CP_DEVICE_CODE)
    __trap();  // code for another chip: choose_kernels() keeps it from being launched
#endif
}

}  // namespace compact
