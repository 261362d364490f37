// squaredError: lossScale * sum of (prediction - target)^2, and the gradient of the predictions.
// One number a sequence: one block, whose threads sum parts in a fixed order.
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"

namespace compact {
namespace {

constexpr int kThreads = 256;

template <class T>
struct SquaredError {
    const T* predictions;  // (count)
    const float* targets;  // (count), NaN where there is none
    float* loss;           // (1)
    T* gradients;          // (count) or null
    int64_t count;
    double loss_scale;
};

template <class T>
__global__ void __launch_bounds__(kThreads) squared_error_kernel(SquaredError<T> work) {
    CP_SHARED(double[kMaxWarps], scratch);
    double total = 0.0;
    const float factor = static_cast<float>(2.0 * work.loss_scale);
    for (int64_t i = threadIdx.x; i < work.count; i += kThreads) {
        const float target = work.targets[i];
        const float difference =
            target == target ? load_element(work.predictions + i) - target : 0.0f;
        total += static_cast<double>(difference) * difference;
        if (work.gradients != nullptr) store_element(work.gradients + i, factor * difference);
    }
    total = block_reduce(total, Sum{}, scratch);
    if (threadIdx.x == 0) *work.loss = static_cast<float>(total * work.loss_scale);
}

CpStatus launch(CpDevice& device, const char* op, const CpCall& call, CpError* error) {
    const CpTensor& predictions = call.inputs[0];
    dispatch(predictions.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const SquaredError<T> work{
            data<T>(predictions),         data<const float>(call.inputs[1]),
            data<float>(call.outputs[0]), call.num_outputs > 1 ? data<T>(call.outputs[1]) : nullptr,
            num_elements(predictions),    attribute(call, "lossScale")};
        CP_LAUNCH(squared_error_kernel<T>, dim3(1), dim3(kThreads), 0, device.stream, work);
    });
    return check_launch(device, op, error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return launch(*device, "squaredError", *call, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return launch(*device, "squaredErrorBackward", *call, error);
}

}  // namespace

const CpOp kCudaSquaredErrorOp = {"squaredError", no_workspace, nullptr, run_forward};
const CpOp kCudaSquaredErrorBackwardOp = {"squaredErrorBackward", no_workspace, nullptr,
                                          run_backward};

}  // namespace compact
