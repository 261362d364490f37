// weightUpdate: w = w (1 - learningRate weightDecay) - learningRate updateScale direction: the last
// part of an optimizer whose direction other ops made.
// Three accesses per element; limit: memory bandwidth.
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct WeightUpdate {
    WeightStore weight;
    AnyTensor direction;
    const float* scale;
    int64_t count;
    StepSize size;
};

__global__ void __launch_bounds__(kElementwiseThreads) weight_update_kernel(WeightUpdate p) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= p.count) return;
    const int count = pack_count(p.count, first);
    const float scale = gradient_scale(p.scale);
    float w[kPackSize], d[kPackSize];
    p.weight.weight.load(first, count, w);
    p.direction.load(first, count, d);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) w[i] = stepped(w[i], d[i] * scale, p.size);
    p.weight.store(first, count, w);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const int64_t count = num_elements(call->inputs[0]);
    const WeightUpdate work{WeightStore(*call), AnyTensor(call->inputs[1]),
                            data<const float>(call->inputs[2]), count,
                            step_size(*call, attribute(*call, "updateScale"))};
    CP_LAUNCH(weight_update_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0,
              device->stream, work);
    return check_launch(*device, "weightUpdate", error);
}

}  // namespace

const CpOp kCudaWeightUpdateOp = {"weightUpdate", no_workspace, nullptr, run};

}  // namespace compact
