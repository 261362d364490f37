// sgd: the direction of momentum (the gradient without a buffer), then
// w = w (1 - learningRate weightDecay) - learningRate updateScale direction
#include "native/base/momentum.h"
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &weight = call->outputs[0], &gradient = call->inputs[1];
    const CpTensor& momentum = call->inputs[2];
    const Vec scale = splat(gradient_scale(call->inputs[3]));
    const StepSize size = step_size(*call, attribute(*call, "updateScale"));
    const Vec factor = splat(static_cast<float>(attribute(*call, "momentumFactor")));
    const bool nesterov = attribute(*call, "nesterov") != 0.0;
    with_dtype(weight.dtype, [&](auto weight_type) {
        with_dtype(gradient.dtype, [&](auto gradient_type) {
            with_dtype(momentum.dtype, [&](auto state_type) {
                using W = decltype(weight_type);
                const W* w = data<W>(weight);
                const auto* g = data<decltype(gradient_type)>(gradient);
                auto* b = data<decltype(state_type)>(momentum);
                update_weight<W>(*device, *call, [=](int64_t i, auto lanes) {
                    Vec direction = load(g + i, lanes) * scale;
                    if (b != nullptr) {
                        Vec moved = load(b + i, lanes);
                        direction = momentum_direction(direction, moved, factor, nesterov);
                        store(b + i, moved, lanes);
                    }
                    return stepped(load(w + i, lanes), direction, size);
                });
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kSgdOp = {"sgd", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
