// Products that are stored in f32 or bf16, scaled and perhaps added to what is there.
#include "cuda/gemm/gemm_launch.cuh"

namespace compact {
namespace {

template <class C>
cudaError_t store(CpDevice& device, const CudaGemm& p, void* workspace) {
    const auto epilogue = store_epilogue<C>(p, workspace);
    const cudaError_t status = run_gemm(device, p, workspace, epilogue, [&](const auto& whole) {
        if constexpr (std::is_same_v<C, Bf16>) {  // the dtype of x, and so of x P
            if (p.b.phat != nullptr) return launch_generated_b(device, p, 1, whole);
        }
        if (p.b.is_quantized()) return launch_quantized_b(device, p, 1, whole);
        return launch_any(device, p, 1, whole);
    });
    if (status != cudaSuccess || p.squares == nullptr) return status;
    LaunchGroup<SquareSums> alone;
    alone.add(squares_of_warps(device, p, workspace), 1);
    return add_square_sums(device, alone);
}

}  // namespace

cudaError_t gemm_store(CpDevice& device, const CudaGemm& p, void* workspace) {
    return p.c_dtype == CP_F32 ? store<float>(device, p, workspace)
                               : store<Bf16>(device, p, workspace);
}

}  // namespace compact
