// momentum: moves a buffer by a gradient and gives the direction of an update that another op
// applies.
#include "native/base/momentum.h"

#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &gradient = call->inputs[0], &direction = call->outputs[0];
    const CpTensor& buffer = call->inputs[1];
    const Vec scale = splat(gradient_scale(call->inputs[2]));
    const Vec share = splat(static_cast<float>(1.0 - attribute(*call, "dampening")));
    const Vec factor = splat(static_cast<float>(attribute(*call, "factor")));
    const bool nesterov = attribute(*call, "nesterov") != 0.0;
    with_dtype(gradient.dtype, [&](auto gradient_type) {
        with_dtype(buffer.dtype, [&](auto state_type) {
            with_dtype(direction.dtype, [&](auto direction_type) {
                const auto* g = data<decltype(gradient_type)>(gradient);
                auto* b = data<decltype(state_type)>(buffer);
                auto* d = data<decltype(direction_type)>(direction);
                for_elements(*device, num_elements(gradient), [=](int64_t i, auto lanes) {
                    Vec result = share * (load(g + i, lanes) * scale);
                    if (b != nullptr) {
                        Vec moved = load(b + i, lanes);
                        result = momentum_direction(result, moved, factor, nesterov);
                        store(b + i, moved, lanes);
                    }
                    store(d + i, result, lanes);
                });
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kMomentumOp = {"momentum", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
