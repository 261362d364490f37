// fill: y = value everywhere.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const Vec value = splat(static_cast<float>(attribute(*call, "value")));
    with_dtype(output.dtype, [&](auto type) {
        auto* y = data<decltype(type)>(output);
        for_elements(*device, num_elements(output),
                     [=](int64_t i, auto lanes) { store(y + i, value, lanes); });
    });
    return CP_OK;
}

}  // namespace

const CpOp kFillOp = {"fill", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
