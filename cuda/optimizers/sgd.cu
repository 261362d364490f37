// sgd: the direction of momentum (the gradient without a buffer), then
// w = w (1 - learningRate weightDecay) - learningRate updateScale direction.
// Three to five accesses per element; limit: memory bandwidth.
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/base/momentum.h"

namespace compact {
namespace {

struct Sgd {
    WeightStore weight;
    AnyTensor gradient, momentum;  // momentum may be absent: null
    const float* scale;
    int64_t count;
    StepSize size;
    float momentum_factor;
    bool nesterov;
};

__global__ void __launch_bounds__(kElementwiseThreads) sgd_kernel(Sgd p) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= p.count) return;
    const int count = pack_count(p.count, first);
    const float scale = gradient_scale(p.scale);
    float w[kPackSize], g[kPackSize];
    p.weight.weight.load(first, count, w);
    p.gradient.load(first, count, g);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) g[i] *= scale;
    if (p.momentum.data != nullptr) {
        float b[kPackSize];
        p.momentum.load(first, count, b);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            g[i] = momentum_direction(g[i], b[i], p.momentum_factor, p.nesterov);
        }
        p.momentum.store(first, count, b);
    }
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) w[i] = stepped(w[i], g[i], p.size);
    p.weight.store(first, count, w);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const int64_t count = num_elements(call->inputs[0]);
    const Sgd work{WeightStore(*call),
                   AnyTensor(call->inputs[1]),
                   AnyTensor(call->inputs[2]),
                   data<const float>(call->inputs[3]),
                   count,
                   step_size(*call, attribute(*call, "updateScale")),
                   static_cast<float>(attribute(*call, "momentumFactor")),
                   attribute(*call, "nesterov") != 0.0};
    CP_LAUNCH(sgd_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0, device->stream,
              work);
    return check_launch(*device, "sgd", error);
}

}  // namespace

const CpOp kCudaSgdOp = {"sgd", no_workspace, nullptr, run};

}  // namespace compact
