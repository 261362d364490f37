// channelFactors: for each channel of a gradient, the length of the direction of its compressed
// gradient over the length of that, so that the whole step grows by a limited factor at most.
// One access per element of the gradient; limit: memory bandwidth.
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "native/backend/channel_checks.h"
#include "native/base/channel_factors.h"

namespace compact {
namespace {

constexpr int kThreads = 128, kFactorThreads = 1024;

// A block for each row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    row_squares_kernel(const T* __restrict__ x, double* __restrict__ squares, int64_t columns) {
    CP_SHARED(double[kMaxWarps], scratch);
    const T* row = x + static_cast<int64_t>(blockIdx.x) * columns;
    double sum = 0.0;
    for (int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize; first < columns;
         first += kThreads * kPackSize) {
        float values[kPackSize];
        load_pack(row + first, pack_count(columns, first), values);
        float part = 0.0f;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) part += values[i] * values[i];
        sum += part;
    }
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// A thread for each column.
template <class T>
__global__ void __launch_bounds__(kThreads)
    column_squares_kernel(const T* __restrict__ x, double* __restrict__ squares, int64_t rows,
                          int64_t columns) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (column >= columns) return;
    float sum = 0.0f;
    for (int64_t row = 0; row < rows; ++row) {
        const float value = load_element(x + row * columns + column);
        sum = fmaf(value, value, sum);
    }
    squares[column] = sum;
}

struct Factors {
    const double *gradient, *compressed, *direction;
    int64_t sums[3];  // how many of each
    const float* clipping;
    float *factors, *previous_norm;
    int64_t channels;
    bool is_one;  // all sums of a matrix belong to one channel
    ChannelScaling scaling;
};

__device__ __forceinline__ double total(const double* sums, int64_t count, double* scratch) {
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += kFactorThreads) sum += sums[i];
    return block_reduce(sum, Sum{}, scratch);
}

// One block.
__global__ void __launch_bounds__(kFactorThreads) factors_kernel(Factors p) {
    CP_SHARED(double[kMaxWarps], scratch);
    const double clipping = p.clipping == nullptr ? 1.0 : *p.clipping;
    const double previous_norm = *p.previous_norm;
    double square = 0.0;
    if (p.is_one) {
        const double gradient = total(p.gradient, p.sums[0], scratch);
        const double compressed = total(p.compressed, p.sums[1], scratch);
        const double direction = total(p.direction, p.sums[2], scratch);
        const double factor = channel_factor(compressed, direction, clipping, p.scaling);
        square = factor * factor * gradient;
        if (threadIdx.x == 0) p.factors[0] = static_cast<float>(factor);
    } else {
        for (int64_t i = threadIdx.x; i < p.channels; i += kFactorThreads) {
            const double factor =
                channel_factor(p.compressed[i], p.direction[i], clipping, p.scaling);
            square += factor * factor * p.gradient[i];
            p.factors[i] = static_cast<float>(factor);
        }
        square = block_reduce(square, Sum{}, scratch);
    }
    const double norm = sqrt(square);
    const double limiter = growth_limiter(norm, previous_norm, p.scaling);
    for (int64_t i = threadIdx.x; i < p.channels; i += kFactorThreads) {
        p.factors[i] = static_cast<float>(p.factors[i] / limiter);
    }
    __syncthreads();  // every thread has read the previous norm
    if (threadIdx.x == 0) *p.previous_norm = static_cast<float>(norm / limiter);
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return aligned(channel_sums(*call) * 8);
}

void channel_squares(CpDevice& device, const CpTensor& matrix, int64_t axis, double* squares) {
    const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
    dispatch(matrix.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        if (axis == kColumnChannels) {
            CP_LAUNCH(column_squares_kernel<T>,
                      dim3(static_cast<unsigned>(ceil_div(columns, kThreads))), dim3(kThreads), 0,
                      device.stream, data<const T>(matrix), squares, rows, columns);
        } else {
            CP_LAUNCH(row_squares_kernel<T>, dim3(static_cast<unsigned>(rows)), dim3(kThreads), 0,
                      device.stream, data<const T>(matrix), squares, columns);
        }
    });
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "channelFactors";
    const int64_t axis = channel_axis(*call);
    const double* squares[3];
    auto* next = static_cast<double*>(call->workspace);
    Factors work{};
    for (int i = 0; i < 3; ++i) {  // gradient, compressed, direction
        channel_squares(*device, call->inputs[i], axis, next);
        if (check_launch(*device, op, error) != CP_OK) return CP_FAILED;
        work.sums[i] = channel_sums(call->inputs[i], axis);
        squares[i] = next;
        next += work.sums[i];
    }
    work.gradient = squares[0];
    work.compressed = squares[1];
    work.direction = squares[2];
    work.clipping = data<const float>(call->inputs[4]);
    work.factors = data<float>(call->outputs[0]);
    work.previous_norm = data<float>(call->outputs[1]);
    work.channels = num_elements(call->outputs[0]);
    work.is_one = axis == kOneChannel;
    work.scaling = {attribute(*call, "epsilon"), attribute(*call, "growthLimit")};
    CP_LAUNCH(factors_kernel, dim3(1), dim3(kFactorThreads), 0, device->stream, work);
    return check_launch(*device, op, error);
}

}  // namespace

const CpOp kCudaChannelFactorsOp = {"channelFactors", workspace_bytes, check_channel_factors, run};

}  // namespace compact
