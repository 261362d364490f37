// linearCrossEntropy: the output layer and its loss, lossScale * sum(lse(x w^T) - (x w^T)[target]),
// and the gradients of x and w, or of x alone, in the same pass; or the gradient of some rows of w,
// from the log-sum-exp that the pass for x has left. The weight may be in int8 groups.
//
// Limit: tensor-core rate of the three products; the softmax adds 10 to 14 bytes per logit.
#include <algorithm>

#include "cuda/losses/linear_logits.h"

namespace compact {
namespace {

// ---- Workspace ---------------------------------------------------------------------------------

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           p.of_any_chunk([&](int64_t count) { return p.product_bytes(count); });
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() + p.of_any_chunk([&](int64_t count) {
        return std::max(p.product_bytes(count), p.input_product_bytes(count));
    });
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return std::max(input_backward_workspace_bytes(call, limits),
                    p.losses_bytes() + p.logits_bytes() + p.of_any_chunk([&](int64_t count) {
                        return p.weight_product_bytes(count);
                    }));
}

// No losses.
int64_t rows_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const LinearLogits p(*call);
    return p.logits_bytes() + p.of_any_chunk([&](int64_t count) {
        return std::max(p.product_bytes(count), p.weight_product_bytes(count));
    });
}

// ---- Runs --------------------------------------------------------------------------------------

CpStatus forward(CpDevice* device, const CpCall* call, const char* op, CpError* error) {
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p);
    const IndexCheck check = check_indices(*device, op, "targets", p.vocab);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        const SoftmaxRows rows = rows_of_chunk(*call, p, work, check, first, count);
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_losses(*device, op, rows, error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return add_losses(*device, op, work.losses, p.tokens, attribute(*call, "lossScale"),
                      data<float>(call->outputs[0]), error);
}

// `after_input(first, count)` follows on the gradient of the input of each chunk. `lse` (tokens)
// may be null.
template <class AfterInput>
CpStatus differentiate(CpDevice* device, const CpCall* call, const char* op, float* lse,
                       CpError* error, AfterInput after_input) {
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p);
    const IndexCheck check = check_indices(*device, op, "targets", p.vocab);
    const SoftmaxGradient gradient =
        gradient_of_chunk(p, work, static_cast<float>(attribute(*call, "lossScale")));
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(*call, p, work, check, first, count);
        rows.lse = lse;
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_gradients(*device, op, rows, gradient, error) != CP_OK ||
            compute_input_gradient(*device, op, *call, p, work, call->outputs[1], first, count,
                                   error) != CP_OK ||
            after_input(first, count) != CP_OK) {
            return CP_FAILED;
        }
    }
    return add_losses(*device, op, work.losses, p.tokens, attribute(*call, "lossScale"),
                      data<float>(call->outputs[0]), error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return forward(device, call, "linearCrossEntropy", error);
}

CpStatus run_int8_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return forward(device, call, "linearCrossEntropyInt8", error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "linearCrossEntropyBackward";
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p);
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    return differentiate(device, call, op, nullptr, error, [&](int64_t first, int64_t count) {
        return compute_weight_gradient(*device, op, *call, p, work, call->outputs[2], first, count,
                                       accumulate || first > 0, error);
    });
}

CpStatus run_input_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return differentiate(device, call, "linearCrossEntropyInputBackward",
                         data<float>(call->outputs[2]), error,
                         [](int64_t, int64_t) { return CP_OK; });
}

CpStatus run_int8_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return differentiate(device, call, "linearCrossEntropyInt8Backward", nullptr, error,
                         [](int64_t, int64_t) { return CP_OK; });
}

// The gradient of rows [first, first + vocab) of the weight, from their logits and the log-sum-exp
// over all of them. Targets were checked when that was made.
CpStatus run_rows_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "linearCrossEntropyRowsBackward";
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p, false);
    const SoftmaxGradient gradient =
        gradient_of_chunk(p, work, static_cast<float>(attribute(*call, "lossScale")));
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(*call, p, work, {}, first, count);
        rows.lse = data<float>(call->inputs[3]);
        rows.first_class = static_cast<int64_t>(attribute(*call, "first"));
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_gradients_from_lse(*device, op, rows, gradient, {}, error) != CP_OK ||
            compute_weight_gradient(*device, op, *call, p, work, call->outputs[0], first, count,
                                    first > 0, error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy(call, "linearCrossEntropy", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy(call, "linearCrossEntropyBackward", error);
}

CpStatus check_input_backward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy(call, "linearCrossEntropyInputBackward", error);
}

CpStatus check_rows_backward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy_rows(call, "linearCrossEntropyRowsBackward", error);
}

CpStatus check_int8_forward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy_int8(call, "linearCrossEntropyInt8", error);
}

CpStatus check_int8_backward(const CpCall* call, CpError* error) {
    return check_linear_cross_entropy_int8(call, "linearCrossEntropyInt8Backward", error);
}

}  // namespace

const CpOp kCudaLinearCrossEntropyOp = {"linearCrossEntropy", forward_workspace_bytes,
                                        check_forward, run_forward};
const CpOp kCudaLinearCrossEntropyBackwardOp = {
    "linearCrossEntropyBackward", backward_workspace_bytes, check_backward, run_backward};
const CpOp kCudaLinearCrossEntropyInputBackwardOp = {"linearCrossEntropyInputBackward",
                                                     input_backward_workspace_bytes,
                                                     check_input_backward, run_input_backward};
const CpOp kCudaLinearCrossEntropyRowsBackwardOp = {"linearCrossEntropyRowsBackward",
                                                    rows_backward_workspace_bytes,
                                                    check_rows_backward, run_rows_backward};
const CpOp kCudaLinearCrossEntropyInt8Op = {"linearCrossEntropyInt8", forward_workspace_bytes,
                                            check_int8_forward, run_int8_forward};
const CpOp kCudaLinearCrossEntropyInt8BackwardOp = {"linearCrossEntropyInt8Backward",
                                                    input_backward_workspace_bytes,
                                                    check_int8_backward, run_int8_backward};

}  // namespace compact
