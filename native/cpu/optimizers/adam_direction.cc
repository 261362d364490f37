// adamDirection: moves both moments by a gradient and gives mHat / (sqrt(vHat) + epsilon), the
// direction of an update that another op applies.
#include "native/cpu/optimizers/adam.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &gradient = call->inputs[0], &direction = call->outputs[0];
    const CpTensor &exp_avg = call->outputs[1], &exp_avg_sq = call->outputs[2];
    const Vec scale = splat(gradient_scale(call->inputs[3]));
    const AdamFactors<Vec> factors = adam_factors(
        {attribute(*call, "beta1"), attribute(*call, "beta2"), attribute(*call, "epsilon"),
         attribute(*call, "firstMomentStep"), attribute(*call, "secondMomentStep")});
    with_dtype(gradient.dtype, [&](auto gradient_type) {
        with_dtype(exp_avg.dtype, [&](auto state_type) {
            with_dtype(direction.dtype, [&](auto direction_type) {
                const auto* g = data<decltype(gradient_type)>(gradient);
                auto* m = data<decltype(state_type)>(exp_avg);
                auto* v = data<decltype(state_type)>(exp_avg_sq);
                auto* d = data<decltype(direction_type)>(direction);
                for_elements(*device, num_elements(gradient), [=](int64_t i, auto lanes) {
                    Vec first = load(m + i, lanes), second = load(v + i, lanes);
                    const Vec result =
                        adam_direction(load(g + i, lanes) * scale, first, second, factors);
                    store(m + i, first, lanes);
                    store(v + i, second, lanes);
                    store(d + i, result, lanes);
                });
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAdamDirectionOp = {"adamDirection", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
