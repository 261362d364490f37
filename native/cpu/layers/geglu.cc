// geglu: y = gelu(gate) up with the tanh form of gelu, and the gradients of both factors.
// Shazeer, "GLU Variants Improve Transformer", 2020.
#include "native/cpu/layers/gelu_forms.h"
#include "native/cpu/runtime/ops.h"

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
            store(y + i, TanhGelu::value(load(gate + i, lanes)) * load(up + i, lanes), lanes);
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
            store(d_gate + i, gradient * other * TanhGelu::slope(x), lanes);
            store(d_up + i, gradient * TanhGelu::value(x), lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kGegluOp = {"geglu", no_workspace, nullptr, run_forward};
const CpOp kGegluBackwardOp = {"gegluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
