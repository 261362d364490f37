// addRmsNorm: sum = a + b, rstd = 1 / sqrt(mean(sum^2) + epsilon), y = sum rstd weight
//
// The bits of add and then rmsNorm, in one pass over memory: the norm reads a row of the sum, as it
// was stored, while it is in the cache.
#include "native/cpu/layers/rms_norm_row.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const float epsilon = static_cast<float>(attribute(*call, "epsilon"));
    const float offset = static_cast<float>(attribute(*call, "weightOffset"));
    float* rstd = data<float>(call->outputs[2]);  // (rows)
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* a = data<T>(input);                 // (rows, width)
        const T* b = data<T>(call->inputs[1]);       // (rows, width)
        const T* weight = data<T>(call->inputs[2]);  // (width)
        T* total = data<T>(call->outputs[0]);        // (rows, width), may be a or b
        T* y = data<T>(call->outputs[1]);            // (rows, width), may be a or b
        for_chunks(*device, rows, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t at = row * width;
                for_lanes(width, [=](int64_t i, auto lanes) {
                    const Vec added = load(a + at + i, lanes) + load(b + at + i, lanes);
                    store(total + at + i, added, lanes);
                });
                rstd[row] = rms_norm_row(total + at, weight, offset, epsilon, y + at, width);
            }
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kAddRmsNormOp = {"addRmsNorm", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
