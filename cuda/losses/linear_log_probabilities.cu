// linearLogProbabilities: for each sequence the sum of (x w^T)[target] - lse(x w^T) over its
// targets that count; and from the gradients of these sums those of x and of rows of w. Backward
// computes the logits again, a chunk at a time, and reads the log-sum-exp that forward has left.
//
// Limit: tensor-core rate of the products; the softmax adds 8 bytes per logit in forward, 10 in
// backward.
#include <algorithm>

#include "cuda/losses/linear_logits.h"

namespace compact {
namespace {

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           p.of_any_chunk([&](int64_t count) { return p.product_bytes(count); });
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.logits_bytes() + p.of_any_chunk([&](int64_t count) {
        return std::max(p.product_bytes(count), p.input_product_bytes(count));
    });
}

int64_t weight_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.logits_bytes() + p.of_any_chunk([&](int64_t count) {
        return std::max(p.product_bytes(count), p.weight_product_bytes(count));
    });
}

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_linear_log_probabilities(call, "linearLogProbabilities", call->outputs[0], error);
}

CpStatus check_input_backward(const CpCall* call, CpError* error) {
    return check_linear_log_probabilities(call, "linearLogProbabilitiesInputBackward",
                                          call->inputs[4], error);
}

CpStatus check_weight_backward(const CpCall* call, CpError* error) {
    return check_linear_log_probabilities_rows(call, "linearLogProbabilitiesWeightBackward",
                                               call->inputs[4], error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "linearLogProbabilities";
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p);
    const IndexCheck check = check_indices(*device, op, "targets", p.vocab);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(*call, p, work, check, first, count);
        rows.lse = data<float>(call->outputs[1]);
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_losses(*device, op, rows, error) != CP_OK) {
            return CP_FAILED;
        }
    }
    const int64_t sequences = num_elements(call->outputs[0]);
    return add_losses_of_sequences(*device, op, work.losses, sequences, p.tokens / sequences, -1.0,
                                   data<float>(call->outputs[0]), error);
}

// Computes the logits of each chunk again and turns them into their gradients;
// `after(first, count)` follows on each. Targets were checked in forward.
template <class After>
CpStatus differentiate(CpDevice& device, const char* op, const CpCall& call,
                       const LogitsWorkspace& work, int64_t first_row, CpError* error,
                       After after) {
    const LinearLogits p(call);
    const SoftmaxGradient gradient = gradient_of_chunk(p, work, -1.0f);
    const SequenceScales scales{data<const float>(call.inputs[4]),
                                p.tokens / num_elements(call.inputs[4])};
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(call, p, work, {}, first, count);
        rows.lse = data<float>(call.inputs[3]);
        rows.first_class = first_row;
        if (compute_logits(device, op, call, p, work, first, count, error) != CP_OK ||
            softmax_gradients_from_lse(device, op, rows, gradient, scales, error) != CP_OK ||
            after(first, count) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

CpStatus run_input_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "linearLogProbabilitiesInputBackward";
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p, false);
    return differentiate(*device, op, *call, work, 0, error, [&](int64_t first, int64_t count) {
        return compute_input_gradient(*device, op, *call, p, work, call->outputs[0], first, count,
                                      error);
    });
}

CpStatus run_weight_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "linearLogProbabilitiesWeightBackward";
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p, false);
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    const auto first_row = static_cast<int64_t>(attribute(*call, "first"));
    return differentiate(
        *device, op, *call, work, first_row, error, [&](int64_t first, int64_t count) {
            return compute_weight_gradient(*device, op, *call, p, work, call->outputs[0], first,
                                           count, accumulate || first > 0, error);
        });
}

}  // namespace

const CpOp kCudaLinearLogProbabilitiesOp = {"linearLogProbabilities", forward_workspace_bytes,
                                            check_forward, run_forward};
const CpOp kCudaLinearLogProbabilitiesInputBackwardOp = {"linearLogProbabilitiesInputBackward",
                                                         input_backward_workspace_bytes,
                                                         check_input_backward, run_input_backward};
const CpOp kCudaLinearLogProbabilitiesWeightBackwardOp = {
    "linearLogProbabilitiesWeightBackward", weight_backward_workspace_bytes, check_weight_backward,
    run_weight_backward};

}  // namespace compact
