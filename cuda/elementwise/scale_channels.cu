// scaleChannels: y = x with every row, every column or all of it multiplied by a factor.
// Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/channel_checks.h"

namespace compact {
namespace {

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    scale_channels_kernel(const T* x, const float* __restrict__ factors, T* y, int64_t count,
                          int64_t columns, int64_t axis) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    float values[kPackSize];
    load_pack(x + first, size, values);
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        if (i >= size) break;
        const int64_t row = (first + i) / columns;
        const int64_t column = first + i - row * columns;
        values[i] *= factors[axis == kRowChannels ? row : axis == kColumnChannels ? column : 0];
    }
    store_pack(y + first, size, values);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor &x = call->inputs[0], &y = call->outputs[0];
    const int64_t count = num_elements(y);
    dispatch(y.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(scale_channels_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<const T>(x), data<const float>(call->inputs[1]), data<T>(y),
                  count, x.shape[1], channel_axis(*call));
    });
    return check_launch(*device, "scaleChannels", error);
}

}  // namespace

const CpOp kCudaScaleChannelsOp = {"scaleChannels", no_workspace, check_scale_channels, run};

}  // namespace compact
