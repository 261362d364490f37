// add: y = a + b
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* a = data<T>(call->inputs[0]);
        const T* b = data<T>(call->inputs[1]);
        T* y = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            store(y + i, load(a + i, lanes) + load(b + i, lanes), lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAddOp = {"add", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
