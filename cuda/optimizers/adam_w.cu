// adamW: w = w (1 - learningRate weightDecay) - learningRate updateScale direction, with the
// direction mHat / (sqrt(vHat) + epsilon) of the moments moved by the gradient.
// Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2017.
// Seven accesses per element (22 bytes with fp32 moments and a bf16 weight and gradient, 10 with
// 8-bit ones); limit: memory bandwidth.
#include "cuda/optimizers/state.cuh"
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/state_checks.h"

namespace compact {
namespace {

struct AdamW {
    WeightStore weight;
    AnyTensor gradient;
    StateTensor exp_avg, exp_avg_sq;
    const float* scale;
    int64_t count;
    StepSize size;
    AdamFactors<float> factors;
};

__global__ void __launch_bounds__(kElementwiseThreads) adam_w_kernel(AdamW p) {
    CP_SHARED(DynamicMap[2], maps);
    if (p.exp_avg.scales != nullptr) load_dynamic_maps(maps);
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    const int count = pack_count(p.count, first);  // 0 beyond the end: warps stay whole
    const float scale = gradient_scale(p.scale);
    float w[kPackSize], g[kPackSize], m[kPackSize], v[kPackSize];
    p.weight.weight.load(first, count, w);
    p.gradient.load(first, count, g);
    p.exp_avg.load(first, count, maps[0], m);
    p.exp_avg_sq.load(first, count, maps[1], v);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        const float direction = adam_direction(g[i] * scale, m[i], v[i], p.factors);
        w[i] = stepped(w[i], direction, p.size);
    }
    p.exp_avg.store(first, count, maps[0], m);
    p.exp_avg_sq.store(first, count, maps[1], v);
    p.weight.store(first, count, w);
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_states("adamW", call->inputs[2], call->inputs[5], call->inputs[6], kStateBlock,
                        error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const double step = attribute(*call, "step");
    const int64_t count = num_elements(call->inputs[0]);
    const AdamW work{WeightStore(*call),
                     AnyTensor(call->inputs[1]),
                     StateTensor(call->inputs[2], call->inputs[5]),
                     StateTensor(call->inputs[3], call->inputs[6]),
                     data<const float>(call->inputs[4]),
                     count,
                     step_size(*call, attribute(*call, "updateScale")),
                     adam_factors(attribute(*call, "beta1"), attribute(*call, "beta2"),
                                  attribute(*call, "epsilon"), step, step)};
    CP_LAUNCH(adam_w_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0, device->stream,
              work);
    return check_launch(*device, "adamW", error);
}

}  // namespace

const CpOp kCudaAdamWOp = {"adamW", no_workspace, check, run};

}  // namespace compact
