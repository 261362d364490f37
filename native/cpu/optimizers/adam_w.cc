// adamW: w = w (1 - learningRate weightDecay) - learningRate updateScale mHat / (sqrt(vHat) +
// epsilon) Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2017.
#include "native/cpu/optimizers/adam.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &weight = call->outputs[0], &gradient = call->inputs[1];
    const CpTensor &exp_avg = call->outputs[1], &exp_avg_sq = call->outputs[2];
    const Vec scale = splat(gradient_scale(call->inputs[4]));
    const double step = attribute(*call, "step");
    const StepSize size = step_size(*call, attribute(*call, "updateScale"));
    const AdamFactors<Vec> factors =
        adam_factors({attribute(*call, "beta1"), attribute(*call, "beta2"),
                      attribute(*call, "epsilon"), step, step});
    with_dtype(weight.dtype, [&](auto weight_type) {
        with_dtype(gradient.dtype, [&](auto gradient_type) {
            with_dtype(exp_avg.dtype, [&](auto state_type) {
                using W = decltype(weight_type);
                const W* w = data<W>(weight);
                const auto* g = data<decltype(gradient_type)>(gradient);
                auto* m = data<decltype(state_type)>(exp_avg);
                auto* v = data<decltype(state_type)>(exp_avg_sq);
                update_weight<W>(*device, *call, [=](int64_t i, auto lanes) {
                    Vec first = load(m + i, lanes), second = load(v + i, lanes);
                    const Vec direction =
                        adam_direction(load(g + i, lanes) * scale, first, second, factors);
                    store(m + i, first, lanes);
                    store(v + i, second, lanes);
                    return stepped(load(w + i, lanes), direction, size);
                });
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAdamWOp = {"adamW", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
