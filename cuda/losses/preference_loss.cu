// preferenceLoss: direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, eq. 7) of
// pairs of log-probabilities, and its gradient. Two numbers a pair: one block, whose threads sum
// parts in a fixed order.
#include <cmath>

#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr int kThreads = 256;

struct PreferenceLoss {
    const float* log_probabilities;  // (sequences)
    const float* reference;          // (sequences), NaN where a pair counts for nothing
    float* loss;                     // (1)
    float* log_ratios;               // (sequences)
    float* gradients;                // (sequences) or null
    int64_t sequences;
    double beta, smoothing, loss_scale;
};

// -log sigmoid(z), for any z without overflow.
__device__ __forceinline__ double minus_log_sigmoid(double z) {
    return fmax(-z, 0.0) + log1p(exp(-fabs(z)));
}

__global__ void __launch_bounds__(kThreads) preference_loss_kernel(PreferenceLoss work) {
    CP_SHARED(double[kMaxWarps], scratch);
    double total = 0.0;
    for (int64_t chosen = 2 * static_cast<int64_t>(threadIdx.x); chosen < work.sequences;
         chosen += 2 * kThreads) {
        const int64_t rejected = chosen + 1;
        const float better = work.reference[chosen], worse = work.reference[rejected];
        const bool counts = better == better && worse == worse;
        const float ratio = counts ? work.log_probabilities[chosen] - better : 0.0f;
        const float worse_ratio = counts ? work.log_probabilities[rejected] - worse : 0.0f;
        work.log_ratios[chosen] = ratio;
        work.log_ratios[rejected] = worse_ratio;
        const double z = work.beta * (static_cast<double>(ratio) - worse_ratio);
        if (counts) {
            total += (1.0 - work.smoothing) * minus_log_sigmoid(z) +
                     work.smoothing * minus_log_sigmoid(-z);
        }
        if (work.gradients == nullptr) continue;
        const double wrong = 1.0 / (1.0 + exp(z));  // sigmoid(-z)
        const double slope = work.loss_scale * work.beta *
                             (work.smoothing * (1.0 - wrong) - (1.0 - work.smoothing) * wrong);
        work.gradients[chosen] = counts ? static_cast<float>(slope) : 0.0f;
        work.gradients[rejected] = counts ? static_cast<float>(-slope) : 0.0f;
    }
    total = block_reduce(total, Sum{}, scratch);
    if (threadIdx.x == 0) *work.loss = static_cast<float>(total * work.loss_scale);
}

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_preference_loss(call, "preferenceLoss", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_preference_loss(call, "preferenceLossBackward", error);
}

CpStatus launch(CpDevice& device, const char* op, const CpCall& call, CpError* error) {
    const PreferenceLoss work{data<const float>(call.inputs[0]),
                              data<const float>(call.inputs[1]),
                              data<float>(call.outputs[0]),
                              data<float>(call.outputs[1]),
                              call.num_outputs > 2 ? data<float>(call.outputs[2]) : nullptr,
                              num_elements(call.inputs[0]),
                              attribute(call, "beta"),
                              attribute(call, "labelSmoothing"),
                              attribute(call, "lossScale")};
    CP_LAUNCH(preference_loss_kernel, dim3(1), dim3(kThreads), 0, device.stream, work);
    return check_launch(device, op, error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return launch(*device, "preferenceLoss", *call, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return launch(*device, "preferenceLossBackward", *call, error);
}

}  // namespace

const CpOp kCudaPreferenceLossOp = {"preferenceLoss", no_workspace, check_forward, run_forward};
const CpOp kCudaPreferenceLossBackwardOp = {"preferenceLossBackward", no_workspace, check_backward,
                                            run_backward};

}  // namespace compact
