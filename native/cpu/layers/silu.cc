// silu: y = x sigmoid(x), and its gradient dx = dy sigmoid(x) (1 + x (1 - sigmoid(x))).
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            const Vec value = load(x + i, lanes);
            store(y + i, value * sigmoid(value), lanes);
        });
    });
    return CP_OK;
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        const T* dy = data<T>(call->inputs[1]);
        T* dx = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            const Vec value = load(x + i, lanes);
            const Vec gate = sigmoid(value);
            const Vec slope = gate * fma(value, splat(1.0f) - gate, splat(1.0f));
            store(dx + i, load(dy + i, lanes) * slope, lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kSiluOp = {"silu", no_workspace, nullptr, run_forward};
const CpOp kSiluBackwardOp = {"siluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
