// weightUpdate: w = w (1 - learningRate weightDecay) - learningRate updateScale direction: the last
// part of an optimizer whose direction other ops made.
#include "native/cpu/optimizers/weight_update.h"

#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &weight = call->outputs[0], &direction = call->inputs[1];
    const Vec scale = splat(gradient_scale(call->inputs[2]));
    const StepSize step = step_size(*call, attribute(*call, "updateScale"));
    with_dtype(weight.dtype, [&](auto weight_type) {
        with_dtype(direction.dtype, [&](auto direction_type) {
            using W = decltype(weight_type);
            const W* w = data<W>(weight);
            const auto* d = data<decltype(direction_type)>(direction);
            update_weight<W>(*device, *call, [=](int64_t i, auto lanes) {
                return stepped(load(w + i, lanes), load(d + i, lanes) * scale, step);
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kWeightUpdateOp = {"weightUpdate", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
