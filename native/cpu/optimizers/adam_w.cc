// adamW: w = w (1 - learningRate weightDecay) - learningRate updateScale mHat / (sqrt(vHat) +
// epsilon) Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2017.
#include "native/backend/state_checks.h"
#include "native/cpu/optimizers/adam.h"
#include "native/cpu/optimizers/state.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check(const CpCall* call, CpError* error) {
    return check_states("adamW", call->inputs[2], call->inputs[5], call->inputs[6], kStateBlock,
                        error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &weight = call->outputs[0], &gradient = call->inputs[1];
    const CpTensor& exp_avg = call->inputs[2];
    const StateTensor first(exp_avg, call->inputs[5]), second(call->inputs[3], call->inputs[6]);
    const Vec scale = splat(gradient_scale(call->inputs[4]));
    const double step = attribute(*call, "step");
    const StepSize step_length = step_size(*call, attribute(*call, "updateScale"));
    const AdamFactors<Vec> factors =
        adam_factors({attribute(*call, "beta1"), attribute(*call, "beta2"),
                      attribute(*call, "epsilon"), step, step});
    with_dtype(weight.dtype, [&](auto weight_type) {
        with_dtype(gradient.dtype, [&](auto gradient_type) {
            using W = decltype(weight_type);
            const W* w = data<W>(weight);
            const auto* g = data<decltype(gradient_type)>(gradient);
            const WeightStore<W> store_weight(*call);
            for_moments(*device, exp_avg.dtype, first, second, num_elements(weight),
                        [=](int64_t begin, int64_t size, auto* m, auto* v) {
                            store_weight.update(begin, begin + size, [=](int64_t i, auto lanes) {
                                const int64_t at = i - begin;
                                Vec mean = load(m + at, lanes), square = load(v + at, lanes);
                                const Vec direction = adam_direction(load(g + i, lanes) * scale,
                                                                     mean, square, factors);
                                store(m + at, mean, lanes);
                                store(v + at, square, lanes);
                                return stepped(load(w + i, lanes), direction, step_length);
                            });
                        });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAdamWOp = {"adamW", no_workspace, check, run};

}  // namespace compact::COMPACT_ISA
