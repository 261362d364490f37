// fill: y = value everywhere. One access per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    fill_kernel(T* __restrict__ y, int64_t count, float value) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    float values[kPackSize];
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] = value;
    store_pack(y + first, pack_count(count, first), values);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t count = num_elements(output);
    const float value = static_cast<float>(attribute(*call, "value"));
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(fill_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<T>(output), count, value);
    });
    return check_launch(*device, "fill", error);
}

}  // namespace

const CpOp kCudaFillOp = {"fill", no_workspace, nullptr, run};

}  // namespace compact
