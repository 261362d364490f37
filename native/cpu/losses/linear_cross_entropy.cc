// linearCrossEntropy: the output layer and its loss, lossScale * sum(lse(x w^T) - (x w^T)[target]),
// and the gradients of x and w, or of x alone, in the same pass; or the gradient of some rows of w,
// from the log-sum-exp that the pass for x has left. The weight may be in int8 groups.
#include "native/cpu/losses/linear_logits.h"

namespace compact::COMPACT_ISA {
namespace {

// ---- Workspace ----------------------------------------------------------------------------------

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() + p.product_bytes(limits);
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           std::max(p.product_bytes(limits), p.input_product_bytes(limits));
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return std::max(input_backward_workspace_bytes(call, limits),
                    p.losses_bytes() + p.logits_bytes() + p.weight_product_bytes(limits));
}

// No losses.
int64_t rows_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.logits_bytes() + std::max(p.product_bytes(limits), p.weight_product_bytes(limits));
}

// ---- Checks -------------------------------------------------------------------------------------

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

// ---- Runs ---------------------------------------------------------------------------------------

CpStatus forward(CpDevice* device, const CpCall* call, const char* op, CpError* error) {
    const LinearLogits p(*call);
    const Targets targets(*call, p.targets(*call), p.vocab);
    if (targets.check(op, error) != CP_OK) return CP_FAILED;
    const LogitsWorkspace work(*call, p);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        compute_logits(*device, *call, p, work, first, count);
        for_chunks(*device, count, rows_per_chunk(p.vocab), [&](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t token = first + row;
                float total;
                work.losses[token] = targets.ignored(token)
                                         ? 0.0
                                         : row_loss(work.logits + row * p.vocab, p.vocab,
                                                    targets.ids[token], nullptr, &total);
            }
        });
    }
    *data<float>(call->outputs[0]) =
        total_loss(work.losses, p.tokens, attribute(*call, "lossScale"));
    return CP_OK;
}

// Turns the logits of a row into their gradients, in place; returns the row's loss. `lse`, where it
// is wanted, receives the log-sum-exp; that of a row that does not count is 0.
template <class T>
double differentiate_row(const LinearLogits& p, float* logits, const Targets& targets,
                         int64_t token, float scale, float* lse) {
    T* gradients = reinterpret_cast<T*>(logits);
    if (targets.ignored(token)) {
        zero_row(gradients, p.vocab);
        if (lse != nullptr) *lse = 0.0f;
        return 0.0;
    }
    float total;
    const int64_t target = targets.ids[token];
    const double target_logit = logits[target];
    // The slope of a cap needs the logits, in the place of which the exponentials would stand.
    const bool capped = p.soft_cap.exists();
    const double loss = row_loss(logits, p.vocab, target, capped ? nullptr : logits, &total);
    const auto log_sum = static_cast<float>(loss + target_logit);
    if (lse != nullptr) *lse = log_sum;
    if (capped) {
        row_gradient_from_lse(logits, p.soft_cap, log_sum, p.vocab, target, scale, gradients);
    } else {
        row_gradient(logits, total, p.vocab, target, scale, gradients);
    }
    return loss;
}

// `after_input(first, count)` follows on the gradient of the input of each chunk. `lse` (tokens)
// may be null.
template <class AfterInput>
CpStatus differentiate(CpDevice* device, const CpCall* call, const char* op, float* lse,
                       CpError* error, AfterInput after_input) {
    const LinearLogits p(*call);
    const Targets targets(*call, p.targets(*call), p.vocab);
    if (targets.check(op, error) != CP_OK) return CP_FAILED;
    const LogitsWorkspace work(*call, p);
    const double loss_scale = attribute(*call, "lossScale");
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        compute_logits(*device, *call, p, work, first, count);
        with_dtype(p.dtype, [&](auto type) {
            for_chunks(*device, count, rows_per_chunk(p.vocab),
                       [&](int64_t begin, int64_t end, int) {
                           for (int64_t row = begin; row < end; ++row) {
                               work.losses[first + row] = differentiate_row<decltype(type)>(
                                   p, work.logits + row * p.vocab, targets, first + row,
                                   static_cast<float>(loss_scale),
                                   lse == nullptr ? nullptr : lse + first + row);
                           }
                       });
        });
        compute_input_gradient(*device, *call, p, work, call->outputs[1], first, count);
        after_input(first, count);
    }
    *data<float>(call->outputs[0]) = total_loss(work.losses, p.tokens, loss_scale);
    return CP_OK;
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return forward(device, call, "linearCrossEntropy", error);
}

CpStatus run_int8_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return forward(device, call, "linearCrossEntropyInt8", error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p);
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    return differentiate(device, call, "linearCrossEntropyBackward", nullptr, error,
                         [&](int64_t first, int64_t count) {
                             compute_weight_gradient(*device, *call, p, work, call->outputs[2],
                                                     first, count, accumulate || first > 0);
                         });
}

CpStatus run_input_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return differentiate(device, call, "linearCrossEntropyInputBackward",
                         data<float>(call->outputs[2]), error, [](int64_t, int64_t) {});
}

CpStatus run_int8_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return differentiate(device, call, "linearCrossEntropyInt8Backward", nullptr, error,
                         [](int64_t, int64_t) {});
}

// The gradient of rows [first, first + vocab) of the weight, from their logits and the log-sum-exp
// over all of them. Targets were checked when that was made.
CpStatus run_rows_backward(CpDevice* device, const CpCall* call, CpError*) {
    const LinearLogits p(*call);
    const Targets targets(*call, call->inputs[2], p.vocab);
    const LogitsWorkspace work(*call, p, false);
    const float* lse = data<float>(call->inputs[3]);  // (tokens)
    const auto first_row = static_cast<int64_t>(attribute(*call, "first"));
    const auto scale = static_cast<float>(attribute(*call, "lossScale"));
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        compute_logits(*device, *call, p, work, first, count);
        with_dtype(p.dtype, [&](auto type) {
            using T = decltype(type);
            for_chunks(
                *device, count, rows_per_chunk(p.vocab), [&](int64_t begin, int64_t end, int) {
                    for (int64_t row = begin; row < end; ++row) {
                        float* logits = work.logits + row * p.vocab;
                        T* gradients = reinterpret_cast<T*>(logits);
                        const int64_t token = first + row;
                        if (targets.ignored(token))
                            zero_row(gradients, p.vocab);
                        else
                            row_gradient_from_lse(logits, p.soft_cap, lse[token], p.vocab,
                                                  targets.ids[token] - first_row, scale, gradients);
                    }
                });
        });
        compute_weight_gradient(*device, *call, p, work, call->outputs[0], first, count, first > 0);
    }
    return CP_OK;
}

}  // namespace

const CpOp kLinearCrossEntropyOp = {"linearCrossEntropy", forward_workspace_bytes, check_forward,
                                    run_forward};
const CpOp kLinearCrossEntropyBackwardOp = {"linearCrossEntropyBackward", backward_workspace_bytes,
                                            check_backward, run_backward};
const CpOp kLinearCrossEntropyInputBackwardOp = {"linearCrossEntropyInputBackward",
                                                 input_backward_workspace_bytes,
                                                 check_input_backward, run_input_backward};
const CpOp kLinearCrossEntropyRowsBackwardOp = {"linearCrossEntropyRowsBackward",
                                                rows_backward_workspace_bytes, check_rows_backward,
                                                run_rows_backward};
const CpOp kLinearCrossEntropyInt8Op = {"linearCrossEntropyInt8", forward_workspace_bytes,
                                        check_int8_forward, run_int8_forward};
const CpOp kLinearCrossEntropyInt8BackwardOp = {"linearCrossEntropyInt8Backward",
                                                input_backward_workspace_bytes, check_int8_backward,
                                                run_int8_backward};

}  // namespace compact::COMPACT_ISA
