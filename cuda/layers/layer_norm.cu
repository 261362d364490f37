// layerNorm: n = (x - mean) rstd, y = n weight + bias with rstd = 1 / sqrt(variance + epsilon); and
// its gradients
//   dx = rstd (g - mean(g) - n mean(g n)) with g = dy weight
//   dWeight = sum over rows of dy n, dBias = sum over rows of dy
// Ba, Kiros, Hinton, "Layer Normalization", 2016.
//
// Two accesses per element, and three backward (rows are read again from the cache); limit: memory
// bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "cuda/simt/row_reduction.h"

namespace compact {
namespace {

// Sums of dWeight and dBias stay in shared memory up to 32 KB; every launch may have 48.
constexpr int64_t kMaxSharedWidth = 4096;

template <class T>
struct Forward {
    const T* x;       // (rows, width)
    const T* weight;  // (width)
    const T* bias;    // (width)
    T* y;             // (rows, width)
    float* mean;      // (rows)
    float* rstd;      // (rows)
    int64_t width;
    float epsilon;
};

// A block has one row.
template <class T>
__global__ void __launch_bounds__(256) layer_norm_kernel(Forward<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int64_t row = blockIdx.x;
    const int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize;
    const int64_t stride = static_cast<int64_t>(blockDim.x) * kPackSize;
    const T* from = p.x + row * p.width;
    float total = 0.0f, values[kPackSize];
    for (int64_t column = first; column < p.width; column += stride) {
        load_pack(from + column, pack_count(p.width, column), values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) total += values[i];
    }
    const float mean = block_reduce(total, Sum{}, scratch) / static_cast<float>(p.width);
    float squares = 0.0f;
    for (int64_t column = first; column < p.width; column += stride) {
        const int count = pack_count(p.width, column);
        load_pack(from + column, count, values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            const float difference = i < count ? values[i] - mean : 0.0f;
            squares = __fmaf_rn(difference, difference, squares);
        }
    }
    const float variance = block_reduce(squares, Sum{}, scratch) / static_cast<float>(p.width);
    const float rstd = 1.0f / sqrtf(variance + p.epsilon);
    if (threadIdx.x == 0) {
        p.mean[row] = mean;
        p.rstd[row] = rstd;
    }
    for (int64_t column = first; column < p.width; column += stride) {
        const int count = pack_count(p.width, column);
        float weights[kPackSize], biases[kPackSize];
        load_pack(from + column, count, values);
        load_pack(p.weight + column, count, weights);
        load_pack(p.bias + column, count, biases);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            values[i] = __fmaf_rn((values[i] - mean) * rstd, weights[i], biases[i]);
        }
        store_pack(p.y + row * p.width + column, count, values);
    }
}

template <class T>
struct Backward {
    const T* x;              // (rows, width)
    const T* weight;         // (width)
    const float* mean;       // (rows)
    const float* rstd;       // (rows)
    const T* dy;             // (rows, width)
    T* dx;                   // (rows, width)
    float* weight_partials;  // (chunks, width)
    float* bias_partials;    // (chunks, width)
    int64_t rows, width, chunk_rows;
};

// A block has one chunk of rows, and sums dWeight and dBias over it.
template <class T>
__global__ void __launch_bounds__(256) layer_norm_backward_kernel(Backward<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    CP_SHARED_DYNAMIC(float, shared_sums);
    float* const weight_partial = p.weight_partials + blockIdx.x * p.width;
    float* const bias_partial = p.bias_partials + blockIdx.x * p.width;
    const bool in_shared = p.width <= kMaxSharedWidth;
    float* const weight_sums = in_shared ? shared_sums : weight_partial;
    float* const bias_sums = in_shared ? shared_sums + (p.width + 3) / 4 * 4 : bias_partial;
    const int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize;
    const int64_t stride = static_cast<int64_t>(blockDim.x) * kPackSize;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * p.chunk_rows;
    const int64_t end = begin + p.chunk_rows < p.rows ? begin + p.chunk_rows : p.rows;
    for (int64_t row = begin; row < end; ++row) {
        const T* x = p.x + row * p.width;
        const T* dy = p.dy + row * p.width;
        const float mean = p.mean[row], rstd = p.rstd[row];
        float gradients = 0.0f, products = 0.0f;
        for (int64_t column = first; column < p.width; column += stride) {
            const int count = pack_count(p.width, column);
            float values[kPackSize], d[kPackSize], weights[kPackSize];
            load_pack(x + column, count, values);
            load_pack(dy + column, count, d);
            load_pack(p.weight + column, count, weights);
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float gradient = d[i] * weights[i];
                gradients += gradient;
                products = __fmaf_rn(gradient, (values[i] - mean) * rstd, products);
            }
        }
        const float width = static_cast<float>(p.width);
        const float mean_gradient = block_reduce(gradients, Sum{}, scratch) / width;
        const float mean_product = block_reduce(products, Sum{}, scratch) / width;
        for (int64_t column = first; column < p.width; column += stride) {
            const int count = pack_count(p.width, column);
            float values[kPackSize], d[kPackSize], weights[kPackSize];
            load_pack(x + column, count, values);
            load_pack(dy + column, count, d);
            load_pack(p.weight + column, count, weights);
            // Only this thread has these columns, in every row.
            float weight_totals[kPackSize] = {}, bias_totals[kPackSize] = {};
            if (row > begin) {
                load_pack(weight_sums + column, count, weight_totals);
                load_pack(bias_sums + column, count, bias_totals);
            }
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float normal = (values[i] - mean) * rstd;
                weight_totals[i] = __fmaf_rn(d[i], normal, weight_totals[i]);
                bias_totals[i] += d[i];
                values[i] = rstd * (d[i] * weights[i] - mean_gradient - normal * mean_product);
            }
            const bool last = row + 1 == end;
            store_pack((last ? weight_partial : weight_sums) + column, count, weight_totals);
            store_pack((last ? bias_partial : bias_sums) + column, count, bias_totals);
            store_pack(p.dx + row * p.width + column, count, values);
        }
    }
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const float epsilon = static_cast<float>(attribute(*call, "epsilon"));
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Forward<T> work{data<T>(input),
                              data<T>(call->inputs[1]),
                              data<T>(call->inputs[2]),
                              data<T>(call->outputs[0]),
                              data<float>(call->outputs[1]),
                              data<float>(call->outputs[2]),
                              width,
                              epsilon};
        CP_LAUNCH(layer_norm_kernel<T>, dim3(static_cast<unsigned>(rows)),
                  dim3(static_cast<unsigned>(row_threads(width))), 0, device->stream, work);
    });
    return check_launch(*device, "layerNorm", error);
}

// Workspace: partial sums of dWeight, then those of dBias.
int64_t half_workspace_bytes(const CpTensor& input) {
    return reduction_workspace_bytes(input.shape[0], input.shape[1]);
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    return 2 * half_workspace_bytes(call->inputs[0]);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    auto* weight_partials = static_cast<float*>(call->workspace);
    float* bias_partials = weight_partials + half_workspace_bytes(input) / 4;
    const size_t shared = width <= kMaxSharedWidth ? static_cast<size_t>(width + 4) * 8 : 0;
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Backward<T> work{data<T>(input),
                               data<T>(call->inputs[1]),
                               data<float>(call->inputs[2]),
                               data<float>(call->inputs[3]),
                               data<T>(call->inputs[4]),
                               data<T>(call->outputs[0]),
                               weight_partials,
                               bias_partials,
                               rows,
                               width,
                               reduction_chunk_rows(rows)};
        CP_LAUNCH(layer_norm_backward_kernel<T>,
                  dim3(static_cast<unsigned>(reduction_chunks(rows))),
                  dim3(static_cast<unsigned>(row_threads(width))), shared, device->stream, work);
    });
    if (check_launch(*device, "layerNormBackward", error) != CP_OK) return CP_FAILED;
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    if (reduce_partial_sums(*device, "layerNormBackward", weight_partials, rows, call->outputs[1],
                            accumulate, error) != CP_OK) {
        return CP_FAILED;
    }
    return reduce_partial_sums(*device, "layerNormBackward", bias_partials, rows, call->outputs[2],
                               accumulate, error);
}

}  // namespace

const CpOp kCudaLayerNormOp = {"layerNorm", no_workspace, nullptr, run_forward};
const CpOp kCudaLayerNormBackwardOp = {"layerNormBackward", backward_workspace_bytes, nullptr,
                                       run_backward};

}  // namespace compact
