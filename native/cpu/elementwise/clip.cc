// clip: y = min(limit, max(-limit, x))
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const float limit = static_cast<float>(attribute(*call, "limit"));
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            // x comes second: min and max then give NaN where it is NaN.
            store(y + i, min(splat(limit), max(splat(-limit), load(x + i, lanes))), lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kClipOp = {"clip", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
