// squaredError: lossScale * sum of (prediction - target)^2, and the gradient of the predictions.
// One number a sequence: too few to share among threads.
#include <cmath>

#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

// `body(index, difference)` for every prediction that has a target.
template <class T, class Body>
void for_differences(const CpCall& call, Body body) {
    const T* predictions = data<T>(call.inputs[0]);
    const float* targets = data<float>(call.inputs[1]);
    for (int64_t i = 0; i < num_elements(call.inputs[0]); ++i) {
        if (!std::isnan(targets[i])) body(i, element(predictions + i) - targets[i]);
    }
}

CpStatus run_forward(CpDevice*, const CpCall* call, CpError*) {
    double total = 0.0;
    with_dtype(call->inputs[0].dtype, [&](auto type) {
        for_differences<decltype(type)>(*call, [&](int64_t, float difference) {
            total += static_cast<double>(difference) * difference;
        });
    });
    *data<float>(call->outputs[0]) = static_cast<float>(total * attribute(*call, "lossScale"));
    return CP_OK;
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    if (run_forward(device, call, error) != CP_OK) return CP_FAILED;
    const auto factor = static_cast<float>(2.0 * attribute(*call, "lossScale"));
    with_dtype(call->inputs[0].dtype, [&](auto type) {
        using T = decltype(type);
        T* gradients = data<T>(call->outputs[1]);
        for_lanes(num_elements(call->outputs[1]),
                  [&](int64_t i, auto lanes) { store(gradients + i, splat(0.0f), lanes); });
        for_differences<T>(*call, [&](int64_t i, float difference) {
            store(gradients + i, splat(factor * difference), FirstLanes{1});
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kSquaredErrorOp = {"squaredError", no_workspace, nullptr, run_forward};
const CpOp kSquaredErrorBackwardOp = {"squaredErrorBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
