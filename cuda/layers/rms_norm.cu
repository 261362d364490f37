// rmsNorm: rstd = 1 / sqrt(mean(x^2) + epsilon), y = x rstd weight, where weightOffset is added to
// the weight; and its gradients
//   dx = rstd (dy weight - x rstd^2 mean(dy weight x)) [+ residualGradient]
//   dWeight = sum over rows of dy x rstd
// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019.
//
// Two accesses per element, and three or four backward (rows too wide for registers are read a
// second time, from the cache); limit: memory bandwidth.
#include "cuda/layers/rms_norm_row.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/row_reduction.h"

namespace compact {
namespace {

// Sums of dWeight stay in shared memory up to 32 KB; every launch may have 48.
constexpr int64_t kMaxSharedWidth = 8192;

template <class T>
struct Forward {
    const T* x;       // (rows, width)
    const T* weight;  // (width)
    T* y;             // (rows, width)
    float* rstd;      // (rows)
    int64_t width;
    float epsilon, weight_offset;
};

// A block has one row.
template <class T, bool kHeld>
__global__ void __launch_bounds__(kNormThreads) rms_norm_kernel(Forward<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int64_t row = blockIdx.x;
    const T* const x = p.x + row * p.width;
    T* const y = p.y + row * p.width;
    if constexpr (kHeld) {
        const auto load = [x](int column, float(&values)[kPackSize]) {
            load_whole_pack(x + column, values);
        };
        rms_norm_held_row(load, p.weight, p.weight_offset, y, p.rstd + row,
                          static_cast<int>(p.width), p.epsilon, scratch);
    } else {
        const auto load = [x](int64_t column, int count, float(&values)[kPackSize]) {
            load_pack(x + column, count, values);
        };
        rms_norm_row(load, x, p.weight, p.weight_offset, y, p.rstd + row, p.width, p.epsilon,
                     scratch);
    }
}

template <class T>
struct Backward {
    const T* x;         // (rows, width)
    const T* weight;    // (width)
    const float* rstd;  // (rows)
    const T* dy;        // (rows, width)
    const T* residual;  // (rows, width) or null
    T* dx;              // (rows, width), may be dy or residual
    float* partials;    // (chunks, width)
    int64_t rows, width, chunk_rows;
    float weight_offset;
};

// A block has one chunk of rows, and sums dWeight over it.
template <class T>
__global__ void __launch_bounds__(kNormThreads) rms_norm_backward_kernel(Backward<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    CP_SHARED_DYNAMIC(float, shared_sums);
    float* const partial = p.partials + blockIdx.x * p.width;
    float* const sums = p.width <= kMaxSharedWidth ? shared_sums : partial;
    const int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize;
    const int64_t stride = static_cast<int64_t>(blockDim.x) * kPackSize;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * p.chunk_rows;
    const int64_t end = begin + p.chunk_rows < p.rows ? begin + p.chunk_rows : p.rows;
    for (int64_t row = begin; row < end; ++row) {
        const T* x = p.x + row * p.width;
        const T* dy = p.dy + row * p.width;
        float products = 0.0f;
        for (int64_t column = first; column < p.width; column += stride) {
            const int count = pack_count(p.width, column);
            float values[kPackSize], gradients[kPackSize], weights[kPackSize];
            load_pack(x + column, count, values);
            load_pack(dy + column, count, gradients);
            load_pack(p.weight + column, count, weights);
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                const float weight = weights[i] + p.weight_offset;
                products = __fmaf_rn(gradients[i] * weight, values[i], products);
            }
        }
        const float rstd = p.rstd[row];
        const float mean = block_reduce(products, Sum{}, scratch) / static_cast<float>(p.width);
        const float slope = rstd * rstd * mean;
        for (int64_t column = first; column < p.width; column += stride) {
            const int count = pack_count(p.width, column);
            float values[kPackSize], gradients[kPackSize], weights[kPackSize],
                added[kPackSize] = {};
            load_pack(x + column, count, values);
            load_pack(dy + column, count, gradients);
            load_pack(p.weight + column, count, weights);
            if (p.residual != nullptr) {
                load_pack(p.residual + row * p.width + column, count, added);
            }
            // Only this thread has these columns, in every row.
            float totals[kPackSize] = {};
            if (row > begin) load_pack(sums + column, count, totals);
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                totals[i] = __fmaf_rn(gradients[i], values[i] * rstd, totals[i]);
                const float weight = weights[i] + p.weight_offset;
                const float result = rstd * (gradients[i] * weight - values[i] * slope);
                gradients[i] = p.residual != nullptr ? result + added[i] : result;
            }
            store_pack((row + 1 < end ? sums : partial) + column, count, totals);
            store_pack(p.dx + row * p.width + column, count, gradients);
        }
    }
}

// One thread's pack of a row of every operand, as loaded.
template <class T>
struct HeldRow {
    float x[kPackSize] = {}, dy[kPackSize] = {}, residual[kPackSize];
    float rstd;

    __device__ __forceinline__ void load(const Backward<T>& p, int64_t row, int column) {
        rstd = p.rstd[row];
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) residual[i] = -0.0f;  // what changes no sum
        if (column >= p.width) return;
        const int64_t at = row * p.width + column;
        load_whole_pack(p.x + at, x);
        load_whole_pack(p.dy + at, dy);
        if (p.residual != nullptr) load_whole_pack(p.residual + at, residual);
    }
};

// The same where rows fit registers, and with them the weight and the sums of dWeight.
template <class T>
__global__ void __launch_bounds__(kNormThreads) rms_norm_backward_held_kernel(Backward<T> p) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int column = static_cast<int>(threadIdx.x) * kPackSize;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * p.chunk_rows;
    const int64_t end = begin + p.chunk_rows < p.rows ? begin + p.chunk_rows : p.rows;
    float weights[kPackSize] = {}, totals[kPackSize] = {};
    if (column < p.width) load_whole_pack(p.weight + column, weights);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) weights[i] += p.weight_offset;
    for (int64_t row = begin; row < end; ++row) {
        HeldRow<T> held;
        held.load(p, row, column);
        float products = 0.0f;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            products = __fmaf_rn(held.dy[i] * weights[i], held.x[i], products);
        }
        const float mean = block_reduce(products, Sum{}, scratch) / static_cast<float>(p.width);
        const float slope = held.rstd * held.rstd * mean;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            totals[i] = __fmaf_rn(held.dy[i], held.x[i] * held.rstd, totals[i]);
            held.dy[i] =
                held.rstd * (held.dy[i] * weights[i] - held.x[i] * slope) + held.residual[i];
        }
        if (column < p.width) store_whole_pack(p.dx + row * p.width + column, held.dy);
    }
    if (column < p.width) store_whole_pack(p.partials + blockIdx.x * p.width + column, totals);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Forward<T> work{data<T>(input),
                              data<T>(call->inputs[1]),
                              data<T>(call->outputs[0]),
                              data<float>(call->outputs[1]),
                              width,
                              static_cast<float>(attribute(*call, "epsilon")),
                              static_cast<float>(attribute(*call, "weightOffset"))};
        const auto kernel = fits_registers(width, work.x, work.weight, work.y)
                                ? rms_norm_kernel<T, true>
                                : rms_norm_kernel<T, false>;
        CP_LAUNCH(kernel, dim3(static_cast<unsigned>(rows)), norm_threads(width), 0, device->stream,
                  work);
    });
    return check_launch(*device, "rmsNorm", error);
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    return reduction_workspace_bytes(call->inputs[0].shape[0], call->inputs[0].shape[1]);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    auto* partials = static_cast<float*>(call->workspace);
    const size_t shared = width <= kMaxSharedWidth ? static_cast<size_t>(width) * 4 : 0;
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const Backward<T> work{data<T>(input),
                               data<T>(call->inputs[1]),
                               data<float>(call->inputs[2]),
                               data<T>(call->inputs[3]),
                               data<T>(call->inputs[4]),
                               data<T>(call->outputs[0]),
                               partials,
                               rows,
                               width,
                               reduction_chunk_rows(rows),
                               static_cast<float>(attribute(*call, "weightOffset"))};
        const dim3 chunks(static_cast<unsigned>(reduction_chunks(rows)));
        if (fits_registers(width, work.x, work.weight, work.dy, work.residual, work.dx, partials)) {
            CP_LAUNCH(rms_norm_backward_held_kernel<T>, chunks, norm_threads(width), 0,
                      device->stream, work);
        } else {
            CP_LAUNCH(rms_norm_backward_kernel<T>, chunks, norm_threads(width), shared,
                      device->stream, work);
        }
    });
    if (check_launch(*device, "rmsNormBackward", error) != CP_OK) return CP_FAILED;
    return reduce_partial_sums(*device, "rmsNormBackward", partials, rows, call->outputs[1],
                               attribute(*call, "accumulate") != 0.0, error);
}

}  // namespace

const CpOp kCudaRmsNormOp = {"rmsNorm", no_workspace, nullptr, run_forward};
const CpOp kCudaRmsNormBackwardOp = {"rmsNormBackward", backward_workspace_bytes, nullptr,
                                     run_backward};

}  // namespace compact
