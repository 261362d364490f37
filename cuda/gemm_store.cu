// Products that are stored in f32 or bf16, scaled and perhaps added to what is there.
#include "cuda/gemm_launch.cuh"
#include "cuda/square_sums.h"

namespace compact {
namespace {

template <class C>
cudaError_t store(CpDevice& device, const CudaGemm& p, void* workspace) {
    double* const squares = warp_squares(p, workspace);
    const auto epilogue = store_epilogue<C>(p, squares);
    const cudaError_t status = run_gemm(device, p, workspace, epilogue, [&](const auto& whole) {
        if constexpr (std::is_same_v<C, Bf16>) {  // the dtype of x, and so of x P
            if (p.b.phat != nullptr) return launch_generated_b(device, p, 1, whole);
        }
        return launch_any(device, p, 1, whole);
    });
    if (status != cudaSuccess || squares == nullptr) return status;
    const bool is_split = gemm_splits(p.m, p.n, p.k) > 1;
    const int64_t warps =
        is_split ? reduce_blocks(p.m, p.n) * kStoringWarps : storing_warps(device, p);
    return add_square_sums(device, squares, warps, p.squares);
}

}  // namespace

cudaError_t gemm_store(CpDevice& device, const CudaGemm& p, void* workspace) {
    return p.c_dtype == CP_F32 ? store<float>(device, p, workspace)
                               : store<Bf16>(device, p, workspace);
}

}  // namespace compact
