// sumOfSquares: partials[index] = sum of x^2, in fp64 over fixed chunks that are added in order.
#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return aligned(num_chunks(num_elements(call->inputs[0]), kChunkElements) *
                   static_cast<int64_t>(sizeof(double)));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t count = num_elements(input), slots = num_elements(call->outputs[0]);
    const int64_t index = static_cast<int64_t>(attribute(*call, "index"));
    if (index < 0 || index >= slots) {
        return fail_index(error, "sumOfSquares", "an index", slots, index, 0);
    }
    double* sums = static_cast<double*>(call->workspace);  // (chunks)
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_chunks(*device, count, kChunkElements, [=](int64_t begin, int64_t end, int) {
            SquareSum squares;
            for_lanes(end - begin,
                      [&](int64_t i, auto lanes) { squares.add(load(x + begin + i, lanes)); });
            sums[begin / kChunkElements] = squares.total();
        });
    });
    double total = 0.0;
    for (int64_t chunk = 0; chunk < num_chunks(count, kChunkElements); ++chunk) {
        total += sums[chunk];
    }
    data<float>(call->outputs[0])[index] = static_cast<float>(total);
    return CP_OK;
}

}  // namespace

const CpOp kSumOfSquaresOp = {"sumOfSquares", workspace_bytes, nullptr, run};

}  // namespace compact::COMPACT_ISA
