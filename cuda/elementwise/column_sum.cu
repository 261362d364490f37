// columnSum: y = [y +] sum over the rows of x, the gradient of a bias.
// One access per element of x; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/pack.cuh"
#include "cuda/simt/row_reduction.h"

namespace compact {
namespace {

constexpr int kThreads = 128;  // eight columns each

template <class T>
__global__ void __launch_bounds__(kThreads)
    column_sum_kernel(const T* __restrict__ x, float* __restrict__ partials, int64_t rows,
                      int64_t columns, int64_t chunk_rows, uint32_t chunk_blocks) {
    const int64_t chunk = blockIdx.x / chunk_blocks, block = blockIdx.x % chunk_blocks;
    const int64_t column = (block * kThreads + threadIdx.x) * kPackSize;
    if (column >= columns) return;
    const int count = pack_count(columns, column);
    const int64_t begin = chunk * chunk_rows;
    const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
    float sums[kPackSize] = {};
    for (int64_t row = begin; row < end; ++row) {
        float values[kPackSize];
        load_pack(x + row * columns + column, count, values);
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) sums[i] += values[i];
    }
    store_pack(partials + chunk * columns + column, count, sums);
}

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return reduction_workspace_bytes(call->inputs[0].shape[0], call->inputs[0].shape[1]);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], columns = input.shape[1];
    auto* partials = static_cast<float*>(call->workspace);
    const auto chunk_blocks = static_cast<uint32_t>(ceil_div(columns, kThreads * kPackSize));
    const dim3 grid(static_cast<unsigned>(reduction_chunks(rows) * chunk_blocks));
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(column_sum_kernel<T>, grid, dim3(kThreads), 0, device->stream,
                  data<const T>(input), partials, rows, columns, reduction_chunk_rows(rows),
                  chunk_blocks);
    });
    if (check_launch(*device, "columnSum", error) != CP_OK) return CP_FAILED;
    return reduce_partial_sums(*device, "columnSum", partials, rows, call->outputs[0],
                               attribute(*call, "accumulate") != 0.0, error);
}

}  // namespace

const CpOp kCudaColumnSumOp = {"columnSum", workspace_bytes, nullptr, run};

}  // namespace compact
