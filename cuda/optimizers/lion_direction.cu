// lionDirection: the sign of an average of the gradients, and the other average that is kept.
// Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2.
// Four accesses per element; limit: memory bandwidth.
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct LionDirection {
    AnyTensor gradient, average, direction;  // direction may be the gradient
    const float* scale;
    int64_t count;
    float old_share, new_share;  // of the direction
    float kept_old, kept_new;    // of the average
};

// -1, 0 or 1; NaN stays NaN.
__device__ __forceinline__ float sign_of(float x) {
    return x < 0.0f ? -1.0f : x > 0.0f ? 1.0f : x * 0.0f;
}

__global__ void __launch_bounds__(kElementwiseThreads) lion_direction_kernel(LionDirection p) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= p.count) return;
    const int count = pack_count(p.count, first);
    const float scale = gradient_scale(p.scale);
    float g[kPackSize], m[kPackSize];
    p.gradient.load(first, count, g);
    p.average.load(first, count, m);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        const float clipped = g[i] * scale, old = m[i];
        m[i] = p.kept_old * old + p.kept_new * clipped;
        g[i] = sign_of(p.old_share * old + p.new_share * clipped);
    }
    p.average.store(first, count, m);
    p.direction.store(first, count, g);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const int64_t count = num_elements(call->inputs[0]);
    const double beta1 = attribute(*call, "beta1"), beta2 = attribute(*call, "beta2");
    const LionDirection work{AnyTensor(call->inputs[0]),
                             AnyTensor(call->outputs[1]),
                             AnyTensor(call->outputs[0]),
                             data<const float>(call->inputs[2]),
                             count,
                             static_cast<float>(beta1),
                             static_cast<float>(1.0 - beta1),
                             static_cast<float>(beta2),
                             static_cast<float>(1.0 - beta2)};
    CP_LAUNCH(lion_direction_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0,
              device->stream, work);
    return check_launch(*device, "lionDirection", error);
}

}  // namespace

const CpOp kCudaLionDirectionOp = {"lionDirection", no_workspace, nullptr, run};

}  // namespace compact
