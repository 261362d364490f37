// rmsNorm: rstd = 1 / sqrt(mean(x^2) + epsilon), y = x rstd weight, where weightOffset is added to
// the weight; and its gradients
//   dx = rstd (dy weight - x rstd^2 mean(dy weight x)) [+ residualGradient]
//   dWeight = sum over rows of dy x rstd
// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019.
#include "native/cpu/layers/rms_norm_row.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/row_reduction.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const float epsilon = static_cast<float>(attribute(*call, "epsilon"));
    const float offset = static_cast<float>(attribute(*call, "weightOffset"));
    float* rstd = data<float>(call->outputs[1]);  // (rows)
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);                 // (rows, width)
        const T* weight = data<T>(call->inputs[1]);  // (width)
        T* y = data<T>(call->outputs[0]);            // (rows, width)
        for_chunks(*device, rows, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t at = row * width;
                rstd[row] = rms_norm_row(x + at, weight, offset, epsilon, y + at, width);
            }
        });
    });
    return CP_OK;
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    return reduction_workspace_bytes(call->inputs[0].shape[0], call->inputs[0].shape[1]);
}

// One row: writes dx and adds the row's part of dWeight to `d_weight`. dx may be dy or residual.
template <class T>
void backward_row(const T* x, const T* weight, float weight_offset, float rstd, const T* dy,
                  const T* residual, T* dx, float* d_weight, int64_t width) {
    Vec products = splat(0.0f);
    const Vec offset = splat(weight_offset);
    for_lanes(width, [&](int64_t i, auto lanes) {
        const Vec scaled = load(dy + i, lanes) * (load(weight + i, lanes) + offset);
        products = fma(scaled, load(x + i, lanes), products);
    });
    const Vec slope = splat(rstd * rstd * (sum(products) / static_cast<float>(width)));
    const Vec factor = splat(rstd);
    for_lanes(width, [&](int64_t i, auto lanes) {
        const Vec value = load(x + i, lanes);
        const Vec gradient = load(dy + i, lanes);
        const Vec scaled = gradient * (load(weight + i, lanes) + offset);
        Vec result = factor * (scaled - value * slope);
        if (residual != nullptr) result = result + load(residual + i, lanes);
        store(d_weight + i, fma(gradient, value * factor, load(d_weight + i, lanes)), lanes);
        store(dx + i, result, lanes);
    });
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const int64_t chunk_rows = reduction_chunk_rows(rows);
    const float offset = static_cast<float>(attribute(*call, "weightOffset"));
    const float* rstd = data<float>(call->inputs[2]);  // (rows)
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);                   // (rows, width)
        const T* weight = data<T>(call->inputs[1]);    // (width)
        const T* dy = data<T>(call->inputs[3]);        // (rows, width)
        const T* residual = data<T>(call->inputs[4]);  // (rows, width) or null
        T* dx = data<T>(call->outputs[0]);             // (rows, width)
        for_chunks(*device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
            float* d_weight = partial_sum(call->workspace, begin / chunk_rows, width);
            std::fill_n(d_weight, width, 0.0f);
            for (int64_t row = begin; row < end; ++row) {
                const int64_t at = row * width;
                backward_row(x + at, weight, offset, rstd[row], dy + at,
                             residual == nullptr ? nullptr : residual + at, dx + at, d_weight,
                             width);
            }
        });
    });
    reduce_partial_sums(*device, call->workspace, rows, call->outputs[1],
                        attribute(*call, "accumulate") != 0.0);
    return CP_OK;
}

}  // namespace

const CpOp kRmsNormOp = {"rmsNorm", no_workspace, nullptr, run_forward};
const CpOp kRmsNormBackwardOp = {"rmsNormBackward", backward_workspace_bytes, nullptr,
                                 run_backward};

}  // namespace compact::COMPACT_ISA
