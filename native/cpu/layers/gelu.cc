// gelu: y = x Phi(x) in either form, and the gradients.
#include "native/cpu/layers/gelu_forms.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

template <class Body>
void with_form(const CpCall& call, Body body) {
    if (attribute(call, "approximate") != 0.0) {
        body(TanhGelu{});
    } else {
        body(ExactGelu{});
    }
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        with_form(*call, [&](auto form) {
            for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
                store(y + i, form.value(load(x + i, lanes)), lanes);
            });
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
        with_form(*call, [&](auto form) {
            for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
                store(dx + i, load(dy + i, lanes) * form.slope(load(x + i, lanes)), lanes);
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kGeluOp = {"gelu", no_workspace, nullptr, run_forward};
const CpOp kGeluBackwardOp = {"geluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
