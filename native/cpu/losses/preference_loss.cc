// preferenceLoss: direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, eq. 7) of
// pairs of log-probabilities, and its gradient. Two numbers a pair: too few to share among threads.
#include <algorithm>
#include <cmath>

#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_preference_loss(call, "preferenceLoss", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_preference_loss(call, "preferenceLossBackward", error);
}

// -log sigmoid(z), for any z without overflow.
double minus_log_sigmoid(double z) {
    return std::max(-z, 0.0) + std::log1p(std::exp(-std::abs(z)));
}

// `gradients` (sequences) may be null.
void run(const CpCall& call, float* gradients) {
    const float* log_probabilities = data<float>(call.inputs[0]);  // (sequences)
    const float* reference = data<float>(call.inputs[1]);          // (sequences)
    float* log_ratios = data<float>(call.outputs[1]);              // (sequences)
    const double beta = attribute(call, "beta"), smoothing = attribute(call, "labelSmoothing");
    const double loss_scale = attribute(call, "lossScale");
    double total = 0.0;
    for (int64_t chosen = 0; chosen < num_elements(call.inputs[0]); chosen += 2) {
        const int64_t rejected = chosen + 1;
        const bool counts = !std::isnan(reference[chosen]) && !std::isnan(reference[rejected]);
        for (int64_t i = chosen; i <= rejected; ++i) {
            log_ratios[i] = counts ? log_probabilities[i] - reference[i] : 0.0f;
            if (gradients != nullptr) gradients[i] = 0.0f;
        }
        if (!counts) continue;
        const double z = beta * (static_cast<double>(log_ratios[chosen]) - log_ratios[rejected]);
        total += (1.0 - smoothing) * minus_log_sigmoid(z) + smoothing * minus_log_sigmoid(-z);
        if (gradients == nullptr) continue;
        const double wrong = 1.0 / (1.0 + std::exp(z));  // sigmoid(-z)
        const double slope =
            loss_scale * beta * (smoothing * (1.0 - wrong) - (1.0 - smoothing) * wrong);
        gradients[chosen] = static_cast<float>(slope);
        gradients[rejected] = static_cast<float>(-slope);
    }
    *data<float>(call.outputs[0]) = static_cast<float>(total * loss_scale);
}

CpStatus run_forward(CpDevice*, const CpCall* call, CpError*) {
    run(*call, nullptr);
    return CP_OK;
}

CpStatus run_backward(CpDevice*, const CpCall* call, CpError*) {
    run(*call, data<float>(call->outputs[2]));
    return CP_OK;
}

}  // namespace

const CpOp kPreferenceLossOp = {"preferenceLoss", no_workspace, check_forward, run_forward};
const CpOp kPreferenceLossBackwardOp = {"preferenceLossBackward", no_workspace, check_backward,
                                        run_backward};

}  // namespace compact::COMPACT_ISA
