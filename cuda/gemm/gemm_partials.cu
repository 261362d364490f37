// Products cut along the inner dimension: one matrix of sums for each part.
#include "cuda/gemm/gemm_launch.cuh"

namespace compact {

cudaError_t gemm_partials(CpDevice& device, const CudaGemm& p, int64_t splits, float* partials) {
    const PartialEpilogue epilogue{partials, p.m, p.n};
    if (p.a.phat != nullptr) return launch_generated_a(device, p, splits, epilogue);
    if (p.b.phat != nullptr) return launch_generated_b(device, p, splits, epilogue);
    if (p.b.is_quantized()) return launch_quantized_b(device, p, splits, epilogue);
    return launch_any(device, p, splits, epilogue);
}

}  // namespace compact
