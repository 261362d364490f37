// adamDirection: moves both moments by a gradient and gives mHat / (sqrt(vHat) + epsilon), the
// direction of an update that another op applies.
// Six accesses per element (22 bytes with fp32 states and a bf16 direction); limit: memory
// bandwidth.
#include "cuda/optimizers/state.cuh"
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "cuda/simt/launch_group.cuh"
#include "native/backend/state_checks.h"

namespace compact {
namespace {

struct Direction {
    AnyTensor gradient, direction;  // may be the same
    StateTensor exp_avg, exp_avg_sq;
    const float* scale;
    int64_t count;
    AdamFactors<float> factors;
};

__global__ void __launch_bounds__(kElementwiseThreads)
    adam_direction_kernel(const CP_GRID_CONSTANT LaunchGroup<Direction> group) {
    CP_SHARED(DynamicMap[2], maps);
    uint32_t block = 0;
    const Direction& p = group.of_block(&block);
    if (p.exp_avg.scales != nullptr) load_dynamic_maps(maps);
    const int64_t first =
        (static_cast<int64_t>(block) * kElementwiseThreads + threadIdx.x) * kPackSize;
    const int count = pack_count(p.count, first);  // 0 beyond the end: warps stay whole
    const float scale = gradient_scale(p.scale);
    float g[kPackSize], m[kPackSize], v[kPackSize];
    p.gradient.load(first, count, g);
    p.exp_avg.load(first, count, maps[0], m);
    p.exp_avg_sq.load(first, count, maps[1], v);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        g[i] = adam_direction(g[i] * scale, m[i], v[i], p.factors);
    }
    p.exp_avg.store(first, count, maps[0], m);
    p.exp_avg_sq.store(first, count, maps[1], v);
    p.direction.store(first, count, g);
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_states("adamDirection", call->inputs[1], call->inputs[4], call->inputs[5],
                        kStateBlock, error);
}

CpStatus run_group(CpDevice* device, const CpCall* calls, int32_t count, CpError* error) {
    LaunchGroup<Direction> group;
    for (int32_t i = 0; i < count; ++i) {
        const CpCall& call = calls[i];
        const int64_t elements = num_elements(call.inputs[0]);
        const Direction work{
            AnyTensor(call.inputs[0]),
            AnyTensor(call.outputs[0]),
            StateTensor(call.inputs[1], call.inputs[4]),
            StateTensor(call.inputs[2], call.inputs[5]),
            data<const float>(call.inputs[3]),
            elements,
            adam_factors(attribute(call, "beta1"), attribute(call, "beta2"),
                         attribute(call, "epsilon"), attribute(call, "firstMomentStep"),
                         attribute(call, "secondMomentStep"))};
        group.add(work, elementwise_blocks(elements));
    }
    CP_LAUNCH(adam_direction_kernel, dim3(group.num_blocks()), dim3(kElementwiseThreads), 0,
              device->stream, group);
    return check_launch(*device, "adamDirection", error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    return run_group(device, call, 1, error);
}

}  // namespace

const CpOp kCudaAdamDirectionOp = {"adamDirection", no_workspace, check, run, nullptr, run_group};

}  // namespace compact
