// tanh: y = cap tanh(x / cap), and its gradient from y, dx = dy (1 - (y / cap)^2).
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/soft_cap.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const SoftCap soft_cap(*call, "cap");
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            store(y + i, soft_cap.value(load(x + i, lanes)), lanes);
        });
    });
    return CP_OK;
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const SoftCap soft_cap(*call, "cap");
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* y = data<T>(call->inputs[0]);
        const T* dy = data<T>(call->inputs[1]);
        T* dx = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            store(dx + i, load(dy + i, lanes) * soft_cap.slope(load(y + i, lanes)), lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kTanhOp = {"tanh", no_workspace, nullptr, run_forward};
const CpOp kTanhBackwardOp = {"tanhBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
