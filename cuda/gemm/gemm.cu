#include <algorithm>

#include "cuda/gemm/blas_lt.h"
#include "cuda/gemm/gemm.h"
#include "cuda/gemm/gemm_launch.cuh"
#include "cuda/optimizers/square_sums.h"

namespace compact {
namespace {

// What the split of an inner dimension is decided by: constants, not the device's own numbers and
// tiles, for it decides the order of summation and the workspace, which must be the same
// everywhere. An H200 with wide tiles, whose wave takes about 0.6 us for a step.
constexpr int64_t kWave = 264;              // two blocks on each of 132 multiprocessors
constexpr int64_t kStepsOfTile = 8;         // to fill the stages and to store a tile
constexpr int64_t kStepsOfLaunch = 8;       // of the sum of parts
constexpr int64_t kSumsOfStep = 256 << 10;  // partial sums that are written and read in a step
constexpr int64_t kMinInnerPerSplit = 512;
constexpr int64_t kMaxSplits = 64;
constexpr int64_t kMaxPartialBytes = 64 << 20;

}  // namespace

// The fewest parts of those that take hardly longer than the best number.
int64_t gemm_splits(int64_t m, int64_t n, int64_t k) {
    const int64_t tiles = ceil_div(m, WideTile::kM) * ceil_div(n, WideTile::kN);
    // In steps of a wave.
    const auto cost = [&](int64_t splits) {
        const int64_t steps = ceil_div(ceil_div(k, splits), kTileK) + kStepsOfTile;
        const int64_t sum = splits == 1 ? 0 : splits * m * n / kSumsOfStep + kStepsOfLaunch;
        return ceil_div(tiles * splits, kWave) * steps + sum;
    };
    const int64_t most = std::min(
        {kMaxSplits, k / kMinInnerPerSplit, kMaxPartialBytes / std::max<int64_t>(4 * m * n, 1)});
    int64_t chosen = 1, least = cost(1);
    for (int64_t splits = 2; splits <= most; ++splits) {
        const int64_t now = cost(splits);
        if (now + now / 64 >= least) continue;
        chosen = splits;
        least = now;
    }
    return chosen;
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

bool phat_in_kernel(const CpDevice& device, const PhatKey& key, const CudaGemmOperand& other,
                    int64_t length) {
    return device.projection_in_kernel && key.distribution == kGaussian && other.dtype == CP_BF16 &&
           has_whole_chunks(other, length);
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
