// columnSum: y = [y +] sum over the rows of x, the gradient of a bias.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/row_reduction.h"

namespace compact::COMPACT_ISA {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return reduction_workspace_bytes(call->inputs[0].shape[0], call->inputs[0].shape[1]);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    const int64_t chunk_rows = reduction_chunk_rows(rows);
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);  // (rows, columns)
        for_chunks(*device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
            float* partial = partial_sum(call->workspace, begin / chunk_rows, columns);
            std::fill_n(partial, columns, 0.0f);
            for (int64_t row = begin; row < end; ++row) {
                const T* from = x + row * columns;
                for_lanes(columns, [=](int64_t i, auto lanes) {
                    store(partial + i, load(partial + i, lanes) + load(from + i, lanes), lanes);
                });
            }
        });
    });
    reduce_partial_sums(*device, call->workspace, rows, call->outputs[0],
                        attribute(*call, "accumulate") != 0.0);
    return CP_OK;
}

}  // namespace

const CpOp kColumnSumOp = {"columnSum", workspace_bytes, nullptr, run};

}  // namespace compact::COMPACT_ISA
