// Products that update a weight in place. Operands are as they are stored, so there is a kernel for
// that layout alone.
#include "cuda/gemm/gemm_launch.cuh"

namespace compact {
namespace {

template <class W, bool kStochastic>
cudaError_t update(CpDevice& device, const CudaGemm& p, void* workspace) {
    return run_gemm(device, p, workspace, update_epilogue<W, kStochastic>(p),
                    [&](const auto& whole) {
                        if (p.a.phat != nullptr) return launch_generated_a(device, p, 1, whole);
                        if (p.a.dtype != CP_BF16 || p.b.dtype != CP_BF16) {
                            return launch_simple(device, p, 1, whole);
                        }
                        return launch_stored<false, false>(device, p, 1, whole);
                    });
}

}  // namespace

cudaError_t gemm_update(CpDevice& device, const CudaGemm& p, void* workspace) {
    if (p.c_dtype == CP_F32) return update<float, false>(device, p, workspace);
    if (p.update->stochastic_rounding) return update<Bf16, true>(device, p, workspace);
    return update<Bf16, false>(device, p, workspace);
}

}  // namespace compact
