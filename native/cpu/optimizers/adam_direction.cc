// adamDirection: moves both moments by a gradient and gives mHat / (sqrt(vHat) + epsilon), the
// direction of an update that another op applies.
#include "native/backend/state_checks.h"
#include "native/cpu/optimizers/adam.h"
#include "native/cpu/optimizers/state.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check(const CpCall* call, CpError* error) {
    return check_states("adamDirection", call->inputs[1], call->inputs[4], call->inputs[5],
                        kStateBlock, error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &gradient = call->inputs[0], &direction = call->outputs[0];
    const CpTensor& exp_avg = call->inputs[1];
    const StateTensor first(exp_avg, call->inputs[4]), second(call->inputs[2], call->inputs[5]);
    const Vec scale = splat(gradient_scale(call->inputs[3]));
    const AdamFactors<Vec> factors = adam_factors(
        {attribute(*call, "beta1"), attribute(*call, "beta2"), attribute(*call, "epsilon"),
         attribute(*call, "firstMomentStep"), attribute(*call, "secondMomentStep")});
    with_dtype(gradient.dtype, [&](auto gradient_type) {
        with_dtype(direction.dtype, [&](auto direction_type) {
            const auto* g = data<decltype(gradient_type)>(gradient);
            auto* d = data<decltype(direction_type)>(direction);
            for_moments(*device, exp_avg.dtype, first, second, num_elements(gradient),
                        [=](int64_t begin, int64_t size, auto* m, auto* v) {
                            for_lanes(size, [=](int64_t i, auto lanes) {
                                Vec mean = load(m + i, lanes), square = load(v + i, lanes);
                                const Vec result = adam_direction(
                                    load(g + begin + i, lanes) * scale, mean, square, factors);
                                store(m + i, mean, lanes);
                                store(v + i, square, lanes);
                                store(d + begin + i, result, lanes);
                            });
                        });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAdamDirectionOp = {"adamDirection", no_workspace, check, run};

}  // namespace compact::COMPACT_ISA
