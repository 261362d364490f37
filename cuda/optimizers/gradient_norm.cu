// gradientNorm: norm = sqrt(sum of partials) and the factor min(1, maxNorm / (norm + 1e-6)) that
// clips gradients to it; maxNorm <= 0 clips nothing. A few numbers, in fp64 by one thread.
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"

namespace compact {
namespace {

__global__ void gradient_norm_kernel(const float* __restrict__ partials, int64_t count,
                                     double max_norm, float* norm, float* scale) {
    double total = 0.0;
    for (int64_t i = 0; i < count; ++i) total += partials[i];
    const double root = sqrt(total);
    double factor = 1.0;
    if (max_norm > 0.0) {
        const double ratio = max_norm / (root + 1e-6);
        factor = ratio > 1.0 ? 1.0 : ratio;  // NaN stays
    }
    *norm = static_cast<float>(root);
    *scale = static_cast<float>(factor);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    CP_LAUNCH(gradient_norm_kernel, dim3(1), dim3(1), 0, device->stream,
              data<const float>(call->inputs[0]), num_elements(call->inputs[0]),
              attribute(*call, "maxNorm"), data<float>(call->outputs[0]),
              data<float>(call->outputs[1]));
    return check_launch(*device, "gradientNorm", error);
}

}  // namespace

const CpOp kCudaGradientNormOp = {"gradientNorm", no_workspace, nullptr, run};

}  // namespace compact
