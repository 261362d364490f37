// Products cut along the inner dimension: one matrix of sums for each part.
#include "cuda/gemm_launch.cuh"

namespace compact {

cudaError_t gemm_partials(CpDevice& device, const CudaGemm& p, int64_t splits, float* partials) {
    return launch_any(device, p, splits, PartialEpilogue{partials, p.m, p.n});
}

}  // namespace compact
