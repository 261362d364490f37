// Launches of products, as templates on the epilogue. Every epilogue has a source of its own
// (gemm_store.cu, gemm_partials.cu, gemm_update.cu), so that they compile side by side; groups of
// products have one, too (gemm_group.cu).
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda/gemm/gemm.h"
#include "cuda/gemm/gemm_epilogue.cuh"
#include "cuda/gemm/gemm_simple.cuh"
#include "cuda/gemm/gemm_tensor.cuh"
#include "cuda/gemm/gemm_warpgroup.cuh"
#include "cuda/gemm/tensor_map.h"
#include "cuda/optimizers/square_sums.h"
#include "cuda/simt/divisor.h"

namespace compact {

cudaError_t gemm_store(CpDevice& device, const CudaGemm& p, void* workspace);
cudaError_t gemm_update(CpDevice& device, const CudaGemm& p, void* workspace);
// (splits, m, n) sums over the parts of the inner dimension.
cudaError_t gemm_partials(CpDevice& device, const CudaGemm& p, int64_t splits, float* partials);

// One sum of squares of C for every warp that stores, in the workspace; null where none is wanted.
inline double* warp_squares(const CudaGemm& p, void* workspace) {
    if (p.squares == nullptr) return nullptr;
    const int64_t begin = aligned(gemm_workspace_bytes(p.m, p.n, p.k, p.a.dtype));
    return reinterpret_cast<double*>(static_cast<char*>(workspace) + begin);
}

template <class C>
StoreEpilogue<C> store_epilogue(const CudaGemm& p, void* workspace) {
    return {static_cast<C*>(p.c),      p.c_stride, p.m, p.n, p.alpha, p.accumulate,
            warp_squares(p, workspace)};
}

template <class W, bool kStochastic>
UpdateEpilogue<W, kStochastic> update_epilogue(const CudaGemm& p) {
    const WeightUpdate& u = *p.update;
    return {static_cast<W*>(p.c), p.c_stride, p.m, p.n, u.keep, u.step_size, u.key, u.first_row};
}

inline constexpr int kReduceThreads = 32 * kStoringWarps;  // a pack each

inline int64_t reduce_blocks(int64_t m, int64_t n) {
    return ceil_div(m * ceil_div(n, kPackSize), kReduceThreads);
}

// Parts of a product, (splits, rows, columns), and what their sum is for.
template <class Epilogue>
struct SplitSums {
    const float* partials;
    int64_t splits, columns;
    Divisor packs;  // of a row
    Epilogue epilogue;
};

// c = alpha * sum over splits (+ c), in the order of the splits.
template <class Epilogue, int kMembers>
__global__ void __launch_bounds__(kReduceThreads) reduce_splits_kernel(
    int64_t rows, const CP_GRID_CONSTANT LaunchGroup<SplitSums<Epilogue>, kMembers> products) {
    uint32_t block = 0;
    const SplitSums<Epilogue>& p = products.of_block(&block);
    const int64_t columns = p.columns;
    const uint32_t thread = block * kReduceThreads + threadIdx.x;
    const int64_t row = p.packs.quotient(thread);
    float result = 0.0f;
    if (row < rows) {
        const int64_t column = int64_t{p.packs.remainder(thread)} * kPackSize;
        const int count = pack_count(columns, column);
        float sums[kPackSize] = {};
        for (int64_t split = 0; split < p.splits; ++split) {
            float part[kPackSize];
            load_pack(p.partials + (split * rows + row) * columns + column, count, part);
            CP_UNROLL
            for (int j = 0; j < kPackSize; ++j) sums[j] += part[j];
        }
        result = p.epilogue(row, column, sums, 0);
    }
    p.epilogue.finish_warp(thread / 32, result);
}

template <class Epilogue, int kMembers>
void add_sums(LaunchGroup<SplitSums<Epilogue>, kMembers>& group, const CudaGemm& p, int64_t splits,
              const float* partials, const Epilogue& epilogue) {
    group.add({partials, splits, p.n, Divisor(ceil_div(p.n, kPackSize)), epilogue},
              reduce_blocks(p.m, p.n));
}

template <class Epilogue, int kMembers>
cudaError_t launch_sums(CpDevice& device, int64_t rows,
                        const LaunchGroup<SplitSums<Epilogue>, kMembers>& group) {
    CP_LAUNCH((reduce_splits_kernel<Epilogue, kMembers>), dim3(group.num_blocks()),
              dim3(kReduceThreads), 0, device.stream, rows, group);
    return cudaGetLastError();
}

template <class Tile, class B, class Epilogue, int kMembers>
void add_product(LaunchGroup<TensorProduct<B, Epilogue>, kMembers>& group, const CudaGemm& p,
                 int64_t splits, const B& b, const Epilogue& epilogue) {
    group.add({b, p.n, splits, round_up(ceil_div(p.k, splits), kTileK), epilogue},
              ceil_div(p.m, Tile::kM) * ceil_div(p.n, Tile::kN));
}

// Products of A (m, k).
template <class Tile, class A, class B, class Epilogue, int kMembers>
cudaError_t launch_products(CpDevice& device, const A& a, int64_t m, int64_t k,
                            const LaunchGroup<TensorProduct<B, Epilogue>, kMembers>& group) {
    const auto kernel = gemm_bf16_kernel<Tile, A, B, Epilogue, kMembers>;
    constexpr int kSharedBytes = kTensorSharedBytes<Tile, A, B>;
    const cudaError_t status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
    if (status != cudaSuccess) return status;
    int64_t splits = 1;
    for (int32_t i = 0; i < group.count; ++i) splits = std::max(splits, group.members[i].splits);
    CP_LAUNCH(kernel, dim3(group.num_blocks(), static_cast<unsigned>(splits)), dim3(Tile::kThreads),
              kSharedBytes, device.stream, a, m, k, group);
    return cudaGetLastError();
}

// Calls launch(tile), with the shape of tiles that the device uses for products of A and B. Rows
// that are not aligned wait for memory, and the tiles of a Phat that is A would be made again for
// every column of tiles: wide ones for both.
template <class A, class B, class Launch>
cudaError_t with_tile(const CpDevice& device, const Launch& launch) {
    if constexpr (A::kAligned && B::kAligned && !A::kGenerated) {
        if (device.narrow_tiles) return launch(NarrowTile{});
    }
    if constexpr (A::kAligned && B::kAligned && !A::kGenerated && !B::kGenerated) {
        return launch(WideTile{});
    } else {
        return launch(MadeTile{});
    }
}

template <class A, class B, class Epilogue>
cudaError_t launch_tensor(CpDevice& device, const CudaGemm& p, int64_t splits, const A& a,
                          const B& b, const Epilogue& epilogue) {
    return with_tile<A, B>(device, [&](auto tile) {
        using Tile = decltype(tile);
        LaunchGroup<TensorProduct<B, Epilogue>, 1> alone;
        add_product<Tile>(alone, p, splits, b, epilogue);
        return launch_products<Tile>(device, a, p.m, p.k, alone);
    });
}

template <class Operand>
Operand stored(const CudaGemmOperand& operand) {
    return {static_cast<const Bf16*>(operand.data), operand.stride};
}

template <class T>
StoredElements<T> elements(const CudaGemmOperand& operand) {
    return {static_cast<const T*>(operand.data), operand.stride, operand.transposed};
}

template <class Operand>
Operand generated(const CudaGemmOperand& operand) {
    return {operand.phat->key, static_cast<uint32_t>(operand.phat->panel.row0),
            static_cast<uint32_t>(operand.phat->panel.group0)};
}

// Whether rows of stored bf16 operands are aligned, on a device for which choose_kernels() has
// found this kernel.
inline bool is_for_warpgroups(const CpDevice& device, const CudaGemm& p) {
    constexpr int64_t kMaxSize = 1 << 30;  // coordinates of boxes have 32 bits
    const auto fits = [](const CudaGemmOperand& operand) {
        return operand.phat == nullptr && !operand.is_quantized() && operand.dtype == CP_BF16 &&
               aligned(operand);
    };
    return device.tensor_map_encoder != nullptr && fits(p.a) && fits(p.b) &&
           std::max({p.m, p.n, p.k}) <= kMaxSize;
}

template <bool kTransposeB, class Epilogue, int kMembers>
cudaError_t add_warpgroup_product(CpDevice& device,
                                  LaunchGroup<WarpgroupProduct<Epilogue>, kMembers>& group,
                                  const CudaGemm& p, int64_t splits, const Epilogue& epilogue) {
    WarpgroupProduct<Epilogue> product{};
    const cudaError_t status =
        kTransposeB ? make_tensor_map(device, p.b, p.n, p.k, kWarpgroupTileN, &product.map_b)
                    : make_tensor_map(device, p.b, p.k, p.n, kWarpgroupTileK, &product.map_b);
    if (status != cudaSuccess) return status;
    product.shape = {static_cast<int32_t>(ceil_div(p.m, kWarpgroupTileM)),
                     static_cast<int32_t>(ceil_div(p.n, kWarpgroupTileN)),
                     static_cast<int32_t>(splits), p.k,
                     round_up(ceil_div(p.k, splits), kWarpgroupTileK)};
    product.epilogue = epilogue;
    group.add(product, product.shape.pieces());
    return cudaSuccess;
}

// Products of A (m, k).
template <bool kTransposeA, bool kTransposeB, class Epilogue, int kMembers>
cudaError_t launch_warpgroup_products(
    CpDevice& device, const CudaGemmOperand& a, int64_t m, int64_t k,
    const LaunchGroup<WarpgroupProduct<Epilogue>, kMembers>& group) {
    const auto kernel = gemm_warpgroup_kernel<!kTransposeA, kTransposeB, Epilogue, kMembers>;
    TensorMap map_a;
    const cudaError_t found[] = {
        kTransposeA ? make_tensor_map(device, a, k, m, kWarpgroupTileK, &map_a)
                    : make_tensor_map(device, a, m, k, kWarpgroupTileM, &map_a),
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kWarpgroupSharedBytes)};
    for (cudaError_t status : found) {
        if (status != cudaSuccess) return status;
    }
    const auto multiprocessors = static_cast<unsigned>(device.properties.multiProcessorCount);
    CP_LAUNCH(kernel, dim3(std::min(multiprocessors, group.num_blocks())), dim3(kWarpgroupThreads),
              kWarpgroupSharedBytes, device.stream, map_a, group);
    return cudaGetLastError();
}

template <bool kTransposeA, bool kTransposeB, class Epilogue>
cudaError_t launch_warpgroup(CpDevice& device, const CudaGemm& p, int64_t splits,
                             const Epilogue& epilogue) {
    LaunchGroup<WarpgroupProduct<Epilogue>, 1> alone;
    const cudaError_t status =
        add_warpgroup_product<kTransposeB>(device, alone, p, splits, epilogue);
    if (status != cudaSuccess) return status;
    return launch_warpgroup_products<kTransposeA, kTransposeB>(device, p.a, p.m, p.k, alone);
}

// Both operands in memory; A is inner-contiguous when it is not transposed, B when it is.
template <bool kTransposeA, bool kTransposeB, class Epilogue>
cudaError_t launch_stored(CpDevice& device, const CudaGemm& p, int64_t splits,
                          const Epilogue& epilogue) {
    if (is_for_warpgroups(device, p)) {
        return launch_warpgroup<kTransposeA, kTransposeB>(device, p, splits, epilogue);
    }
    if (a_has_whole_chunks(p) && b_has_whole_chunks(p)) {
        return launch_tensor(device, p, splits, stored<StoredOperand<!kTransposeA, true>>(p.a),
                             stored<StoredOperand<kTransposeB, true>>(p.b), epilogue);
    }
    return launch_tensor(device, p, splits, stored<StoredOperand<!kTransposeA, false>>(p.a),
                         stored<StoredOperand<kTransposeB, false>>(p.b), epilogue);
}

// x P
template <class Epilogue>
cudaError_t launch_generated_b(CpDevice& device, const CudaGemm& p, int64_t splits,
                               const Epilogue& epilogue) {
    return launch_tensor(device, p, splits, stored<StoredOperand<true, true>>(p.a),
                         generated<GeneratedOperand<false>>(p.b), epilogue);
}

// P direction
template <class Epilogue>
cudaError_t launch_generated_a(CpDevice& device, const CudaGemm& p, int64_t splits,
                               const Epilogue& epilogue) {
    return launch_tensor(device, p, splits, generated<GeneratedOperand<true>>(p.a),
                         stored<StoredOperand<false, true>>(p.b), epilogue);
}

// A in memory, of elements `T`.
template <class T, class B, class Epilogue>
cudaError_t launch_simple_with(CpDevice& device, const CudaGemm& p, int64_t splits, const B& b,
                               const Epilogue& epilogue) {
    const int64_t k_per_split = round_up(ceil_div(p.k, splits), kTileK);
    const int64_t tiles = ceil_div(p.m, kSimpleTile) * ceil_div(p.n, kSimpleTile);
    const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(splits));
    CP_LAUNCH((gemm_simple_kernel<StoredElements<T>, B, Epilogue>), grid, dim3(kSimpleThreads), 0,
              device.stream, elements<T>(p.a), b, p.m, p.n, p.k, k_per_split, epilogue);
    return cudaGetLastError();
}

template <class Epilogue>
cudaError_t launch_simple(CpDevice& device, const CudaGemm& p, int64_t splits,
                          const Epilogue& epilogue) {
    cudaError_t status = cudaSuccess;
    dispatch(p.a.dtype, [&](auto* type_a) {
        dispatch(p.b.dtype, [&](auto* type_b) {
            using A = std::remove_pointer_t<decltype(type_a)>;
            using B = std::remove_pointer_t<decltype(type_b)>;
            status = launch_simple_with<A>(device, p, splits, elements<B>(p.b), epilogue);
        });
    });
    return status;
}

template <bool kTransposed, class Epilogue>
cudaError_t launch_decoded(CpDevice& device, const CudaGemm& p, int64_t splits,
                           const Epilogue& epilogue) {
    if (p.a.dtype == CP_F32) {
        const QuantizedElements<kTransposed> b{p.b.quantized};
        return launch_simple_with<float>(device, p, splits, b, epilogue);
    }
    const QuantizedOperand<kTransposed> b{p.b.quantized};
    if (a_has_whole_chunks(p)) {
        return launch_tensor(device, p, splits, stored<StoredOperand<true, true>>(p.a), b,
                             epilogue);
    }
    return launch_tensor(device, p, splits, stored<StoredOperand<true, false>>(p.a), b, epilogue);
}

// x W or x W^T of a quantised W
template <class Epilogue>
cudaError_t launch_quantized_b(CpDevice& device, const CudaGemm& p, int64_t splits,
                               const Epilogue& epilogue) {
    return p.b.transposed ? launch_decoded<true>(device, p, splits, epilogue)
                          : launch_decoded<false>(device, p, splits, epilogue);
}

// For any layout of stored operands.
template <class Epilogue>
cudaError_t launch_any(CpDevice& device, const CudaGemm& p, int64_t splits,
                       const Epilogue& epilogue) {
    if (p.a.dtype != CP_BF16 || p.b.dtype != CP_BF16) {
        return launch_simple(device, p, splits, epilogue);
    }
    if (p.a.transposed && p.b.transposed) {
        return launch_stored<true, true>(device, p, splits, epilogue);
    }
    if (p.a.transposed) return launch_stored<true, false>(device, p, splits, epilogue);
    if (p.b.transposed) return launch_stored<false, true>(device, p, splits, epilogue);
    return launch_stored<false, false>(device, p, splits, epilogue);
}

// Warps that store C in the kernel for operands in memory whose inner dimension is not split.
inline int64_t storing_warps(const CpDevice& device, const CudaGemm& p) {
    const auto of_tiles = [&](int64_t rows, int64_t columns, int64_t warps) {
        return ceil_div(p.m, rows) * ceil_div(p.n, columns) * warps;
    };
    if (p.a.dtype != CP_BF16 || p.b.dtype != CP_BF16) {
        return of_tiles(kSimpleTile, kSimpleTile, kStoringWarps);
    }
    if (is_for_warpgroups(device, p))
        return of_tiles(kWarpgroupTileM, kWarpgroupTileN, kStoringWarps);
    const auto of = [&](auto tile) { return of_tiles(tile.kM, tile.kN, tile.kWarps); };
    if (!a_has_whole_chunks(p) || !b_has_whole_chunks(p)) return of(MadeTile{});
    return device.narrow_tiles ? of(NarrowTile{}) : of(WideTile{});
}

// What the warps that store C leave in the workspace, of a product whose squares are wanted.
inline SquareSums squares_of_warps(const CpDevice& device, const CudaGemm& p, void* workspace) {
    const bool is_split = gemm_splits(p.m, p.n, p.k) > 1;
    const int64_t warps =
        is_split ? reduce_blocks(p.m, p.n) * kStoringWarps : storing_warps(device, p);
    return {warp_squares(p, workspace), warps, p.squares};
}

// The product with its epilogue, or parts of it and then their sum with the epilogue. `Launch`
// starts the kernel for the layout of the operands.
template <class Launch, class Epilogue>
cudaError_t run_gemm(CpDevice& device, const CudaGemm& p, void* workspace, const Epilogue& epilogue,
                     const Launch& launch) {
    const int64_t splits = gemm_splits(p.m, p.n, p.k);
    if (splits == 1) return launch(epilogue);
    auto* partials = static_cast<float*>(workspace);
    const cudaError_t status = gemm_partials(device, p, splits, partials);
    if (status != cudaSuccess) return status;
    LaunchGroup<SplitSums<Epilogue>, 1> alone;
    add_sums(alone, p, splits, partials, epilogue);
    return launch_sums(device, p.m, alone);
}

}  // namespace compact
