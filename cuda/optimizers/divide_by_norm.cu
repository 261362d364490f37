// divideByNorm: y = factor x / max(norm, epsilon), with the norm of the matrix or of each column or
// row. Squares are added in fp32: of a row along it, of a column over fixed chunks of rows, then in
// order; those of the columns in fp64 for the matrix. Three accesses per element, of which the
// second reads rows from the cache; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "cuda/simt/row_reduction.h"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr int kThreads = 128;  // eight columns each
constexpr int kFactorThreads = 256;

// What a norm divides by.
struct Scaling {
    double factor, epsilon;

    // NaN stays.
    __device__ __forceinline__ float operator()(double square) const {
        const double norm = sqrt(square);
        return static_cast<float>(factor / (norm < epsilon ? epsilon : norm));
    }
};

__global__ void __launch_bounds__(kThreads)
    column_squares_kernel(AnyTensor x, float* __restrict__ partials, int64_t rows, int64_t columns,
                          int64_t chunk_rows, uint32_t chunk_blocks) {
    const int64_t chunk = blockIdx.x / chunk_blocks, block = blockIdx.x % chunk_blocks;
    const int64_t column = (block * kThreads + threadIdx.x) * kPackSize;
    if (column >= columns) return;
    const int count = pack_count(columns, column);
    const int64_t begin = chunk * chunk_rows;
    const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
    float sums[kPackSize] = {};
    for (int64_t row = begin; row < end; ++row) {
        float values[kPackSize];
        x.load(row * columns + column, count, values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) sums[i] = __fmaf_rn(values[i], values[i], sums[i]);
    }
    store_pack(partials + chunk * columns + column, count, sums);
}

// The factor of each column, in the place of its sum of squares.
__global__ void __launch_bounds__(kFactorThreads)
    column_factors_kernel(float* squares, int64_t columns, Scaling scaling) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kFactorThreads + threadIdx.x;
    if (column < columns) squares[column] = scaling(squares[column]);
}

// One factor for all columns, by one block.
__global__ void __launch_bounds__(kFactorThreads)
    matrix_factor_kernel(float* squares, int64_t columns, Scaling scaling) {
    CP_SHARED(double[kMaxWarps], scratch);
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < columns; i += kFactorThreads) sum += squares[i];
    sum = block_reduce(sum, Sum{}, scratch);
    const float factor = scaling(sum);
    for (int64_t i = threadIdx.x; i < columns; i += kFactorThreads) squares[i] = factor;
}

// A block has one row. y may be x.
__global__ void __launch_bounds__(256)
    divide_rows_kernel(AnyTensor x, AnyTensor y, int64_t columns, Scaling scaling) {
    CP_SHARED(float[kMaxWarps], scratch);
    const int64_t at = static_cast<int64_t>(blockIdx.x) * columns;
    const int64_t first = static_cast<int64_t>(threadIdx.x) * kPackSize;
    const int64_t stride = static_cast<int64_t>(blockDim.x) * kPackSize;
    float squares = 0.0f;
    for (int64_t column = first; column < columns; column += stride) {
        float values[kPackSize] = {};
        x.load(at + column, pack_count(columns, column), values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) squares = __fmaf_rn(values[i], values[i], squares);
    }
    const float scale = scaling(block_reduce(squares, Sum{}, scratch));
    for (int64_t column = first; column < columns; column += stride) {
        const int count = pack_count(columns, column);
        float values[kPackSize];
        x.load(at + column, count, values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) values[i] *= scale;
        y.store(at + column, count, values);
    }
}

__global__ void __launch_bounds__(kThreads)
    scale_columns_kernel(AnyTensor x, const float* __restrict__ factors, AnyTensor y,
                         int64_t columns, uint32_t row_blocks) {
    const int64_t row = blockIdx.x / row_blocks, block = blockIdx.x % row_blocks;
    const int64_t column = (block * kThreads + threadIdx.x) * kPackSize;
    if (column >= columns) return;
    const int count = pack_count(columns, column);
    float values[kPackSize], scales[kPackSize];
    x.load(row * columns + column, count, values);
    load_pack(factors + column, count, scales);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] *= scales[i];
    y.store(row * columns + column, count, values);
}

enum Of : int { kMatrix = 0, kColumns = 1, kRows = 2 };

Of norms_of(const CpCall& call) { return static_cast<Of>(attribute(call, "of")); }

CpStatus check(const CpCall* call, CpError* error) {
    return check_norms(call, "divideByNorm", error);
}

// Partial sums, then the sums of the columns.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    if (norms_of(*call) == kRows) return 0;
    const int64_t rows = call->inputs[0].shape[0], columns = call->inputs[0].shape[1];
    return reduction_workspace_bytes(rows, columns) + aligned(columns * 4);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    const Scaling scaling = {attribute(*call, "factor"), attribute(*call, "epsilon")};
    if (norms_of(*call) == kRows) {
        CP_LAUNCH(divide_rows_kernel, dim3(static_cast<unsigned>(rows)),
                  dim3(static_cast<unsigned>(row_threads(columns))), 0, device->stream,
                  AnyTensor(input), AnyTensor(call->outputs[0]), columns, scaling);
        return check_launch(*device, "divideByNorm", error);
    }
    auto* partials = static_cast<float*>(call->workspace);
    float* factors = partials + reduction_workspace_bytes(rows, columns) / 4;
    const auto row_blocks = static_cast<uint32_t>(ceil_div(columns, kThreads * kPackSize));
    const auto blocks = [&](int64_t parts) {
        return dim3(static_cast<unsigned>(parts * row_blocks));
    };
    CP_LAUNCH(column_squares_kernel, blocks(reduction_chunks(rows)), dim3(kThreads), 0,
              device->stream, AnyTensor(input), partials, rows, columns, reduction_chunk_rows(rows),
              row_blocks);
    if (check_launch(*device, "divideByNorm", error) != CP_OK) return CP_FAILED;
    CpTensor sums{};
    sums.data = factors;
    sums.dtype = CP_F32;
    sums.num_dims = 1;
    sums.shape[0] = columns;
    if (reduce_partial_sums(*device, "divideByNorm", partials, rows, sums, false, error) != CP_OK)
        return CP_FAILED;
    if (norms_of(*call) == kColumns) {
        CP_LAUNCH(column_factors_kernel,
                  dim3(static_cast<unsigned>(ceil_div(columns, kFactorThreads))),
                  dim3(kFactorThreads), 0, device->stream, factors, columns, scaling);
    } else {
        CP_LAUNCH(matrix_factor_kernel, dim3(1), dim3(kFactorThreads), 0, device->stream, factors,
                  columns, scaling);
    }
    CP_LAUNCH(scale_columns_kernel, blocks(rows), dim3(kThreads), 0, device->stream,
              AnyTensor(input), factors, AnyTensor(call->outputs[0]), columns, row_blocks);
    return check_launch(*device, "divideByNorm", error);
}

}  // namespace

const CpOp kCudaDivideByNormOp = {"divideByNorm", workspace_bytes, check, run};

}  // namespace compact
