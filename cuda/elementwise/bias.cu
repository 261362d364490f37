// bias: y = x + bias on every row. Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

// One thread has up to eight columns of one row.
template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    bias_kernel(const T* x, const T* __restrict__ bias, T* y, int64_t rows, int64_t columns) {
    const int64_t packs = (columns + kPackSize - 1) / kPackSize;
    const int64_t thread = static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x;
    const int64_t row = thread / packs, column = thread % packs * kPackSize;
    if (row >= rows) return;
    const int count = pack_count(columns, column);
    float values[kPackSize], added[kPackSize];
    load_pack(x + row * columns + column, count, values);
    load_pack(bias + column, count, added);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] += added[i];
    store_pack(y + row * columns + column, count, values);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t rows = output.shape[0], columns = output.shape[1];
    const int64_t blocks = ceil_div(rows * ceil_div(columns, kPackSize), kElementwiseThreads);
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(bias_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kElementwiseThreads), 0,
                  device->stream, data<const T>(call->inputs[0]), data<const T>(call->inputs[1]),
                  data<T>(output), rows, columns);
    });
    return check_launch(*device, "bias", error);
}

}  // namespace

const CpOp kCudaBiasOp = {"bias", no_workspace, nullptr, run};

}  // namespace compact
