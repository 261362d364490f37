// bias: y = x + bias on every row. Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/divisor.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

// One thread has up to eight columns of one row.
template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    bias_kernel(const T* x, const T* __restrict__ bias, T* y, int64_t rows, int64_t columns,
                Divisor packs) {
    const uint32_t thread = blockIdx.x * kElementwiseThreads + threadIdx.x;
    const int64_t row = packs.quotient(thread);
    const int64_t column = int64_t{packs.remainder(thread)} * kPackSize;
    if (row >= rows) return;
    const int count = pack_count(columns, column);
    float values[kPackSize], added[kPackSize];
    load_pack(x + row * columns + column, count, values);
    load_pack(bias + column, count, added);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] += added[i];
    store_pack(y + row * columns + column, count, values);
}

CpStatus check(const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    return check_thread_numbers("bias", output.shape[0] * ceil_div(output.shape[1], kPackSize),
                                error);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t rows = output.shape[0], columns = output.shape[1];
    const int64_t packs = ceil_div(columns, kPackSize);
    const int64_t blocks = ceil_div(rows * packs, kElementwiseThreads);
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(bias_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kElementwiseThreads), 0,
                  device->stream, data<const T>(call->inputs[0]), data<const T>(call->inputs[1]),
                  data<T>(output), rows, columns, Divisor(packs));
    });
    return check_launch(*device, "bias", error);
}

}  // namespace

const CpOp kCudaBiasOp = {"bias", no_workspace, check, run};

}  // namespace compact
