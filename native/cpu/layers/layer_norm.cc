// layerNorm: y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + epsilon); and its
// gradients, with the normalised input xhat = (x - mean) rstd and g = dy weight:
//   dx = rstd (g - mean(g) - xhat mean(g xhat)), dWeight = sum dy xhat, dBias = sum dy
// Ba, Kiros, Hinton, "Layer Normalization", 2016.
#include <cmath>

#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/row_reduction.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const float epsilon = static_cast<float>(attribute(*call, "epsilon"));
    float* mean = data<float>(call->outputs[1]);  // (rows)
    float* rstd = data<float>(call->outputs[2]);  // (rows)
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);                 // (rows, width)
        const T* weight = data<T>(call->inputs[1]);  // (width)
        const T* bias = data<T>(call->inputs[2]);    // (width)
        T* y = data<T>(call->outputs[0]);            // (rows, width)
        for_chunks(*device, rows, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const T* from = x + row * width;
                Vec values = splat(0.0f);
                for_lanes(width,
                          [&](int64_t i, auto lanes) { values = values + load(from + i, lanes); });
                mean[row] = sum(values) / static_cast<float>(width);
                const Vec centre = splat(mean[row]);
                Vec squares = splat(0.0f);
                for_lanes(width, [&](int64_t i, auto lanes) {
                    const Vec difference = keep(load(from + i, lanes) - centre, lanes, 0.0f);
                    squares = fma(difference, difference, squares);
                });
                const float variance = sum(squares) / static_cast<float>(width);
                rstd[row] = 1.0f / std::sqrt(variance + epsilon);
                const Vec factor = splat(rstd[row]);
                T* to = y + row * width;
                for_lanes(width, [=](int64_t i, auto lanes) {
                    const Vec normal = (load(from + i, lanes) - centre) * factor;
                    store(to + i, fma(normal, load(weight + i, lanes), load(bias + i, lanes)),
                          lanes);
                });
            }
        });
    });
    return CP_OK;
}

// Workspace: partial sums of dWeight, then those of dBias.
int64_t half_workspace_bytes(const CpTensor& input) {
    return reduction_workspace_bytes(input.shape[0], input.shape[1]);
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    return 2 * half_workspace_bytes(call->inputs[0]);
}

// One row: writes dx and adds the row's part to `d_weight` and `d_bias`. dx may be dy.
template <class T>
void backward_row(const T* x, const T* weight, float mean, float rstd, const T* dy, T* dx,
                  float* d_weight, float* d_bias, int64_t width) {
    const Vec centre = splat(mean), factor = splat(rstd);
    Vec gradients = splat(0.0f), products = splat(0.0f);
    for_lanes(width, [&](int64_t i, auto lanes) {
        const Vec normal = (load(x + i, lanes) - centre) * factor;
        const Vec gradient = load(dy + i, lanes) * load(weight + i, lanes);
        gradients = gradients + gradient;
        products = fma(gradient, normal, products);
    });
    const Vec mean_gradient = splat(sum(gradients) / static_cast<float>(width));
    const Vec mean_product = splat(sum(products) / static_cast<float>(width));
    for_lanes(width, [&](int64_t i, auto lanes) {
        const Vec normal = (load(x + i, lanes) - centre) * factor;
        const Vec gradient = load(dy + i, lanes);
        const Vec weighted = gradient * load(weight + i, lanes);
        store(d_weight + i, fma(gradient, normal, load(d_weight + i, lanes)), lanes);
        store(d_bias + i, gradient + load(d_bias + i, lanes), lanes);
        store(dx + i, factor * (weighted - mean_gradient - normal * mean_product), lanes);
    });
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const int64_t chunk_rows = reduction_chunk_rows(rows);
    const float* mean = data<float>(call->inputs[2]);  // (rows)
    const float* rstd = data<float>(call->inputs[3]);  // (rows)
    void* weight_sums = call->workspace;
    void* bias_sums = static_cast<char*>(call->workspace) + half_workspace_bytes(input);
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);                 // (rows, width)
        const T* weight = data<T>(call->inputs[1]);  // (width)
        const T* dy = data<T>(call->inputs[4]);      // (rows, width)
        T* dx = data<T>(call->outputs[0]);           // (rows, width)
        for_chunks(*device, rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
            float* d_weight = partial_sum(weight_sums, begin / chunk_rows, width);
            float* d_bias = partial_sum(bias_sums, begin / chunk_rows, width);
            std::fill_n(d_weight, width, 0.0f);
            std::fill_n(d_bias, width, 0.0f);
            for (int64_t row = begin; row < end; ++row) {
                const int64_t at = row * width;
                backward_row(x + at, weight, mean[row], rstd[row], dy + at, dx + at, d_weight,
                             d_bias, width);
            }
        });
    });
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    reduce_partial_sums(*device, weight_sums, rows, call->outputs[1], accumulate);
    reduce_partial_sums(*device, bias_sums, rows, call->outputs[2], accumulate);
    return CP_OK;
}

}  // namespace

const CpOp kLayerNormOp = {"layerNorm", no_workspace, nullptr, run_forward};
const CpOp kLayerNormBackwardOp = {"layerNormBackward", backward_workspace_bytes, nullptr,
                                   run_backward};

}  // namespace compact::COMPACT_ISA
