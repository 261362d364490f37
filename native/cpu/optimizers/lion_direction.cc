// lionDirection: the sign of an average of the gradients, and the other average that is kept.
// Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2.
#include "native/cpu/optimizers/weight_update.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

// -1, 0 or 1; NaN stays NaN.
inline Vec sign_of(Vec x) {
    const Vec zero = splat(0.0f);
    return select(less(x, zero), splat(-1.0f), select(less(zero, x), splat(1.0f), x * zero));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &gradient = call->inputs[0], &direction = call->outputs[0];
    const CpTensor& average = call->outputs[1];
    const Vec scale = splat(gradient_scale(call->inputs[2]));
    const double beta1 = attribute(*call, "beta1"), beta2 = attribute(*call, "beta2");
    const auto narrow = [](double x) { return splat(static_cast<float>(x)); };
    const Vec old_share = narrow(beta1), new_share = narrow(1.0 - beta1);
    const Vec kept_old = narrow(beta2), kept_new = narrow(1.0 - beta2);
    with_dtype(gradient.dtype, [&](auto gradient_type) {
        with_dtype(average.dtype, [&](auto state_type) {
            with_dtype(direction.dtype, [&](auto direction_type) {
                const auto* g = data<decltype(gradient_type)>(gradient);
                auto* m = data<decltype(state_type)>(average);
                auto* d = data<decltype(direction_type)>(direction);
                for_elements(*device, num_elements(gradient), [=](int64_t i, auto lanes) {
                    const Vec clipped = load(g + i, lanes) * scale, old = load(m + i, lanes);
                    store(m + i, kept_old * old + kept_new * clipped, lanes);
                    store(d + i, sign_of(old_share * old + new_share * clipped), lanes);
                });
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kLionDirectionOp = {"lionDirection", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
