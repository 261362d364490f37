// adafactorDirection: the second moment of a gradient (rows, columns) as running means of the
// squares of its rows and columns, of which the direction is g / sqrt(row column / mean of rows),
// limited in its root mean square.
// Shazeer, Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018.
// The gradient is read four times (rows, columns, root mean square, result), the direction written
// once; limit: memory bandwidth.
#include "cuda/optimizers/square_sums.h"
#include "cuda/optimizers/weight_update.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/elementwise.cuh"
#include "cuda/simt/row_reduction.h"
#include "native/backend/state_checks.h"
#include "native/base/factored_moment.h"

namespace compact {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 16384;  // elements of the direction that a block sums up

struct Adafactor {
    AnyTensor gradient, direction;  // may be the same
    float *row_means, *column_means;
    const float* scale;
    int64_t rows, columns, chunk_rows;
    double decay, epsilon, clip_threshold, least_parameter;
    // Workspace.
    float* partials;  // (chunks of rows, columns): sums of squares
    float *row_factors, *column_factors;
    double* direction_sums;
    float* parameter_squares;  // one; null without a parameter
    int64_t parameter_elements;
    float* factor;  // one: of the whole direction

    __device__ __forceinline__ float element(int64_t i) const {
        const float g = gradient.dtype == CP_BF16
                            ? load_element(static_cast<const Bf16*>(gradient.data) + i)
                            : load_element(static_cast<const float*>(gradient.data) + i);
        return g * gradient_scale(scale);
    }
    __device__ __forceinline__ float unclipped(int64_t i) const {
        return element(i) * (row_factors[i / columns] * column_factors[i % columns]);
    }
};

// A block for each row.
__global__ void __launch_bounds__(kThreads) row_means_kernel(Adafactor p) {
    CP_SHARED(double[kMaxWarps], scratch);
    const int64_t row = blockIdx.x;
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < p.columns; i += kThreads) {
        const double x = p.element(row * p.columns + i);
        sum += x * x;
    }
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x != 0) return;
    const double mean = sum / static_cast<double>(p.columns) + p.epsilon;
    p.row_means[row] = moved_mean(p.row_means[row], mean, p.decay);
}

// A thread for each column of a chunk of rows.
__global__ void __launch_bounds__(kThreads) column_partials_kernel(Adafactor p) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (column >= p.columns) return;
    const int64_t begin = static_cast<int64_t>(blockIdx.y) * p.chunk_rows;
    const int64_t end = begin + p.chunk_rows < p.rows ? begin + p.chunk_rows : p.rows;
    float sum = 0.0f;
    for (int64_t row = begin; row < end; ++row) {
        const float x = p.element(row * p.columns + column);
        sum += x * x;
    }
    p.partials[static_cast<int64_t>(blockIdx.y) * p.columns + column] = sum;
}

__global__ void __launch_bounds__(kThreads) column_means_kernel(Adafactor p, int64_t chunks) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (column >= p.columns) return;
    double sum = 0.0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += p.partials[chunk * p.columns + column];
    const double mean = sum / static_cast<double>(p.rows) + p.epsilon;
    const float moved = moved_mean(p.column_means[column], mean, p.decay);
    p.column_means[column] = moved;
    p.column_factors[column] = static_cast<float>(1.0 / sqrt(static_cast<double>(moved)));
}

// One block; for more of them the compiler would keep a register in memory on 10.0.
__global__ void __launch_bounds__(kThreads, 1) row_factors_kernel(Adafactor p) {
    CP_SHARED(double[kMaxWarps], scratch);
    double sum = 0.0;
    for (int64_t row = threadIdx.x; row < p.rows; row += kThreads) sum += p.row_means[row];
    const double mean = block_reduce(sum, Sum{}, scratch) / static_cast<double>(p.rows);
    for (int64_t row = threadIdx.x; row < p.rows; row += kThreads) {
        p.row_factors[row] = static_cast<float>(sqrt(mean / p.row_means[row]));
    }
}

__global__ void __launch_bounds__(kThreads) direction_sums_kernel(Adafactor p) {
    CP_SHARED(double[kMaxWarps], scratch);
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * kChunk, count = p.rows * p.columns;
    const int64_t end = begin + kChunk < count ? begin + kChunk : count;
    double sum = 0.0;
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
        const double u = p.unclipped(i);
        sum += u * u;
    }
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x == 0) p.direction_sums[blockIdx.x] = sum;
}

// One block.
__global__ void __launch_bounds__(kThreads) factor_kernel(Adafactor p, int64_t chunks) {
    CP_SHARED(double[kMaxWarps], scratch);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < chunks; i += kThreads) sum += p.direction_sums[i];
    sum = block_reduce(sum, Sum{}, scratch);
    if (threadIdx.x != 0) return;
    const double rms = sqrt(sum / static_cast<double>(p.rows * p.columns));
    double scale = 1.0;
    if (p.parameter_squares != nullptr) {
        const double squares = *p.parameter_squares;
        scale = fmax(p.least_parameter, sqrt(squares / static_cast<double>(p.parameter_elements)));
    }
    *p.factor = static_cast<float>(scale / at_least_one(rms / p.clip_threshold));
}

__global__ void __launch_bounds__(kElementwiseThreads) direction_kernel(Adafactor p) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    const int count = pack_count(p.rows * p.columns, first);
    const float factor = *p.factor;
    float d[kPackSize] = {};
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        if (i < count) d[i] = p.unclipped(first + i) * factor;
    }
    p.direction.store(first, count, d);
}

// The workspace in parts; offsets alone where it is null.
int64_t place(const CpCall& call, char* workspace, Adafactor* p, double** parameter_sums) {
    int64_t at = 0;
    const auto take = [&](int64_t bytes) {
        char* part = workspace == nullptr ? nullptr : workspace + at;
        at += aligned(bytes);
        return part;
    };
    const int64_t rows = num_elements(call.inputs[1]), columns = num_elements(call.inputs[2]);
    const bool scaled = present(call.inputs[3]);
    p->partials = reinterpret_cast<float*>(take(reduction_workspace_bytes(rows, columns)));
    p->row_factors = reinterpret_cast<float*>(take(rows * 4));
    p->column_factors = reinterpret_cast<float*>(take(columns * 4));
    p->direction_sums = reinterpret_cast<double*>(take(ceil_div(rows * columns, kChunk) * 8));
    p->factor = reinterpret_cast<float*>(take(4));
    p->parameter_squares = scaled ? reinterpret_cast<float*>(take(4)) : nullptr;
    p->parameter_elements = scaled ? num_elements(call.inputs[3]) : 0;
    *parameter_sums =
        scaled ? reinterpret_cast<double*>(take(square_sums_bytes(p->parameter_elements)))
               : nullptr;
    return at;
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    Adafactor parts{};
    double* parameter_sums = nullptr;
    return place(*call, nullptr, &parts, &parameter_sums);
}

CpStatus check(const CpCall* call, CpError* error) {
    return check_factored_moment("adafactorDirection", call->inputs[0], call->inputs[1],
                                 call->inputs[2], error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    Adafactor p{};
    double* parameter_sums = nullptr;
    place(*call, static_cast<char*>(call->workspace), &p, &parameter_sums);
    p.gradient = AnyTensor(call->inputs[0]);
    p.direction = AnyTensor(call->outputs[0]);
    p.row_means = data<float>(call->inputs[1]);
    p.column_means = data<float>(call->inputs[2]);
    p.scale = data<const float>(call->inputs[4]);
    p.rows = num_elements(call->inputs[1]);
    p.columns = num_elements(call->inputs[2]);
    p.chunk_rows = reduction_chunk_rows(p.rows);
    p.decay = moment_decay(*call);
    p.epsilon = attribute(*call, "epsilon");
    p.clip_threshold = attribute(*call, "clipThreshold");
    p.least_parameter = attribute(*call, "leastParameter");
    const int64_t row_chunks = reduction_chunks(p.rows), count = p.rows * p.columns;
    const int64_t chunks = ceil_div(count, kChunk);
    const auto blocks = [](int64_t n) { return dim3(static_cast<unsigned>(n)); };
    const unsigned column_blocks = static_cast<unsigned>(ceil_div(p.columns, kThreads));
    if (parameter_sums != nullptr) {
        CUDA_CHECK(*device, "adafactorDirection", error,
                   sum_of_squares(*device, call->inputs[3].data, call->inputs[3].dtype,
                                  p.parameter_elements, parameter_sums, p.parameter_squares));
    }
    CP_LAUNCH(row_means_kernel, blocks(p.rows), dim3(kThreads), 0, device->stream, p);
    CP_LAUNCH(column_partials_kernel, dim3(column_blocks, static_cast<unsigned>(row_chunks)),
              dim3(kThreads), 0, device->stream, p);
    CP_LAUNCH(column_means_kernel, dim3(column_blocks), dim3(kThreads), 0, device->stream, p,
              row_chunks);
    CP_LAUNCH(row_factors_kernel, dim3(1), dim3(kThreads), 0, device->stream, p);
    CP_LAUNCH(direction_sums_kernel, blocks(chunks), dim3(kThreads), 0, device->stream, p);
    CP_LAUNCH(factor_kernel, dim3(1), dim3(kThreads), 0, device->stream, p, chunks);
    CP_LAUNCH(direction_kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0,
              device->stream, p);
    return check_launch(*device, "adafactorDirection", error);
}

}  // namespace

const CpOp kCudaAdafactorDirectionOp = {"adafactorDirection", workspace_bytes, check, run};

}  // namespace compact
