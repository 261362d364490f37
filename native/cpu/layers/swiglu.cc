// swiglu: y = silu(gate) up, and the gradients of both factors.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* gate = data<T>(call->inputs[0]);
        const T* up = data<T>(call->inputs[1]);
        T* y = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            const Vec x = load(gate + i, lanes);
            store(y + i, x * sigmoid(x) * load(up + i, lanes), lanes);
        });
    });
    return CP_OK;
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* gate = data<T>(call->inputs[0]);
        const T* up = data<T>(call->inputs[1]);
        const T* dy = data<T>(call->inputs[2]);
        T* d_gate = data<T>(output);
        T* d_up = data<T>(call->outputs[1]);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            const Vec x = load(gate + i, lanes);
            const Vec other = load(up + i, lanes);
            const Vec gradient = load(dy + i, lanes);
            const Vec s = sigmoid(x);
            const Vec slope = s * fma(x, splat(1.0f) - s, splat(1.0f));
            store(d_gate + i, gradient * other * slope, lanes);
            store(d_up + i, gradient * x * s, lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kSwigluOp = {"swiglu", no_workspace, nullptr, run_forward};
const CpOp kSwigluBackwardOp = {"swigluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
