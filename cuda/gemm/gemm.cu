#include <algorithm>

#include "cuda/gemm/blas_lt.h"
#include "cuda/gemm/gemm.h"
#include "cuda/gemm/gemm_launch.cuh"
#include "cuda/optimizers/square_sums.h"

namespace compact {
namespace {

// Two blocks on each of the 132 multiprocessors of an H200, of wide tiles. Constants, not the
// device's own number and tiles: the split decides the order of summation and the workspace, which
// must be the same everywhere.
constexpr int64_t kTargetBlocks = 264;
constexpr int64_t kMinInnerPerSplit = 512;

}  // namespace

int64_t gemm_splits(int64_t m, int64_t n, int64_t k) {
    const int64_t tiles = ceil_div(m, WideTile::kM) * ceil_div(n, WideTile::kN);
    const int64_t wanted = std::min(kTargetBlocks / std::max<int64_t>(tiles, 1), int64_t{64});
    const int64_t possible = k / kMinInnerPerSplit;
    return std::max<int64_t>(1, std::min(wanted, possible));
}

int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t) {
    const int64_t splits = gemm_splits(m, n, k);
    return splits == 1 ? 0 : splits * m * n * 4;
}

// The smallest tiles, of CUDA cores, have the most warps.
int64_t gemm_squares_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype) {
    const int64_t tiles = ceil_div(m, kSimpleTile) * ceil_div(n, kSimpleTile);
    const int64_t reduced = gemm_splits(m, n, k) == 1 ? 0 : reduce_blocks(m, n);
    return aligned(gemm_workspace_bytes(m, n, k, dtype)) +
           aligned(std::max(tiles, reduced) * kStoringWarps * 8);
}

bool phat_in_kernel(const CpDevice& device, const PhatKey& key, const CudaGemmOperand& other) {
    return device.projection_in_kernel && key.distribution == kGaussian && other.dtype == CP_BF16 &&
           aligned(other);
}

CpStatus gemm(CpDevice& device, const char* op, const CudaGemm& problem, void* workspace,
              CpError* error) {
    cudaError_t status = cudaSuccess;
    if (device.blas != nullptr && device.blas->multiply(device, problem, workspace)) {
        if (problem.squares == nullptr) return CP_OK;
        status = sum_of_squares(device, problem.c, problem.c_dtype, problem.m * problem.n,
                                warp_squares(problem, workspace), problem.squares);
    } else {
        status = problem.update != nullptr ? gemm_update(device, problem, workspace)
                                           : gemm_store(device, problem, workspace);
    }
    return status == cudaSuccess ? CP_OK : cuda_failure(device, status, op, "gemm", error);
}

}  // namespace compact
