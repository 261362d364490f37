// cast: the same numbers in another dtype, bf16 by rounding to nearest even.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &input = call->inputs[0], &output = call->outputs[0];
    with_dtype(input.dtype, [&](auto from) {
        with_dtype(output.dtype, [&](auto to) {
            const auto* x = data<decltype(from)>(input);
            auto* y = data<decltype(to)>(output);
            for_elements(*device, num_elements(input),
                         [=](int64_t i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kCastOp = {"cast", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
