// momentum: moves a buffer by a gradient and gives the direction of an update that another op
// applies. Four accesses per element; limit: memory bandwidth.
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/base/momentum.h"

namespace compact {
namespace {

struct Momentum {
    AnyTensor gradient, buffer, direction;  // buffer may be absent: null; direction the gradient
    const float* scale;
    int64_t count;
    float share, factor;  // share: of the gradient
    bool nesterov;
};

__global__ void __launch_bounds__(kElementwiseThreads) momentum_kernel(Momentum p) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= p.count) return;
    const int count = pack_count(p.count, first);
    const float scale = gradient_scale(p.scale);
    float g[kPackSize];
    p.gradient.load(first, count, g);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) g[i] = p.share * (g[i] * scale);
    if (p.buffer.data != nullptr) {
        float b[kPackSize];
        p.buffer.load(first, count, b);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            g[i] = momentum_direction(g[i], b[i], p.factor, p.nesterov);
        }
        p.buffer.store(first, count, b);
    }
    p.direction.store(first, count, g);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const int64_t count = num_elements(call->inputs[0]);
    const Momentum work{AnyTensor(call->inputs[0]),
                        AnyTensor(call->inputs[1]),
                        AnyTensor(call->outputs[0]),
                        data<const float>(call->inputs[2]),
                        count,
                        static_cast<float>(1.0 - attribute(*call, "dampening")),
                        static_cast<float>(attribute(*call, "factor")),
                        attribute(*call, "nesterov") != 0.0};
    CP_LAUNCH(momentum_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0,
              device->stream, work);
    return check_launch(*device, "momentum", error);
}

}  // namespace

const CpOp kCudaMomentumOp = {"momentum", no_workspace, nullptr, run};

}  // namespace compact
