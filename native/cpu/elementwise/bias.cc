// bias: y = x + bias on every row.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const int64_t rows = output.shape[0], columns = output.shape[1];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);     // (rows, columns)
        const T* bias = data<T>(call->inputs[1]);  // (columns)
        T* y = data<T>(output);                    // (rows, columns)
        for_chunks(*device, rows, rows_per_chunk(columns), [&](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const T* from = x + row * columns;
                T* to = y + row * columns;
                for_lanes(columns, [=](int64_t i, auto lanes) {
                    store(to + i, load(from + i, lanes) + load(bias + i, lanes), lanes);
                });
            }
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kBiasOp = {"bias", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
