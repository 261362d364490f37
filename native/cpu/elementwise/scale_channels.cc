// scaleChannels: y = x with every row, every column or all of it multiplied by a factor.
#include "native/backend/channel_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const int64_t rows = output.shape[0], columns = output.shape[1], axis = channel_axis(*call);
    const float* factors = data<float>(call->inputs[1]);
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);  // (rows, columns)
        T* y = data<T>(output);                 // (rows, columns)
        for_chunks(*device, rows, rows_per_chunk(columns), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const T* from = x + row * columns;
                T* to = y + row * columns;
                const Vec factor = splat(factors[axis == kRowChannels ? row : 0]);
                for_lanes(columns, [=](int64_t i, auto lanes) {
                    const Vec own = axis == kColumnChannels ? load(factors + i, lanes) : factor;
                    store(to + i, load(from + i, lanes) * own, lanes);
                });
            }
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kScaleChannelsOp = {"scaleChannels", no_workspace, check_scale_channels, run};

}  // namespace compact::COMPACT_ISA
