// linearLogProbabilities: for each sequence the sum of (x w^T)[target] - lse(x w^T) over its
// targets that count; and from the gradients of these sums those of x and of rows of w. Backward
// computes the logits again, a chunk at a time, and reads the log-sum-exp that forward has left.
#include "native/cpu/losses/linear_logits.h"

namespace compact::COMPACT_ISA {
namespace {

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.losses_bytes() + p.logits_bytes() + p.product_bytes(limits);
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.logits_bytes() + std::max(p.product_bytes(limits), p.input_product_bytes(limits));
}

int64_t weight_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const LinearLogits p(*call);
    return p.logits_bytes() + std::max(p.product_bytes(limits), p.weight_product_bytes(limits));
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
    const LinearLogits p(*call);
    const Targets targets(*call, call->inputs[2], p.vocab);
    if (targets.check("linearLogProbabilities", error) != CP_OK) return CP_FAILED;
    const LogitsWorkspace work(*call, p);
    float* lse = data<float>(call->outputs[1]);  // (tokens)
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        compute_logits(*device, *call, p, work, first, count);
        for_chunks(*device, count, rows_per_chunk(p.vocab), [&](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t token = first + row;
                work.losses[token] = 0.0;
                lse[token] = 0.0f;
                if (targets.ignored(token)) continue;
                const float* logits = work.logits + row * p.vocab;
                const int64_t target = targets.ids[token];
                float total;
                const double loss = row_loss(logits, p.vocab, target, nullptr, &total);
                work.losses[token] = loss;
                lse[token] = static_cast<float>(loss + static_cast<double>(logits[target]));
            }
        });
    }
    float* log_probabilities = data<float>(call->outputs[0]);  // (sequences)
    const int64_t sequences = num_elements(call->outputs[0]), length = p.tokens / sequences;
    for (int64_t sequence = 0; sequence < sequences; ++sequence) {
        log_probabilities[sequence] = total_loss(work.losses + sequence * length, length, -1.0);
    }
    return CP_OK;
}

// Computes the logits of each chunk again and turns them into their gradients;
// `after(first, count)` follows on each. Targets were checked in forward.
template <class After>
void differentiate(CpDevice& device, const CpCall& call, const LogitsWorkspace& work,
                   int64_t first_row, After after) {
    const LinearLogits p(call);
    const Targets targets(call, call.inputs[2], p.vocab);
    const float* lse = data<float>(call.inputs[3]);                  // (tokens)
    const float* d_log_probabilities = data<float>(call.inputs[4]);  // (sequences)
    const int64_t length = p.tokens / num_elements(call.inputs[4]);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        compute_logits(device, call, p, work, first, count);
        with_dtype(p.dtype, [&](auto type) {
            using T = decltype(type);
            for_chunks(
                device, count, rows_per_chunk(p.vocab), [&](int64_t begin, int64_t end, int) {
                    for (int64_t row = begin; row < end; ++row) {
                        float* logits = work.logits + row * p.vocab;
                        T* gradients = reinterpret_cast<T*>(logits);
                        const int64_t token = first + row;
                        if (targets.ignored(token))
                            zero_row(gradients, p.vocab);
                        else
                            row_gradient_from_lse(logits, p.soft_cap, lse[token], p.vocab,
                                                  targets.ids[token] - first_row,
                                                  -d_log_probabilities[token / length], gradients);
                    }
                });
        });
        after(first, count);
    }
}

CpStatus run_input_backward(CpDevice* device, const CpCall* call, CpError*) {
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p, false);
    differentiate(*device, *call, work, 0, [&](int64_t first, int64_t count) {
        compute_input_gradient(*device, *call, p, work, call->outputs[0], first, count);
    });
    return CP_OK;
}

CpStatus run_weight_backward(CpDevice* device, const CpCall* call, CpError*) {
    const LinearLogits p(*call);
    const LogitsWorkspace work(*call, p, false);
    const bool accumulate = attribute(*call, "accumulate") != 0.0;
    const auto first_row = static_cast<int64_t>(attribute(*call, "first"));
    differentiate(*device, *call, work, first_row, [&](int64_t first, int64_t count) {
        compute_weight_gradient(*device, *call, p, work, call->outputs[0], first, count,
                                accumulate || first > 0);
    });
    return CP_OK;
}

}  // namespace

const CpOp kLinearLogProbabilitiesOp = {"linearLogProbabilities", forward_workspace_bytes,
                                        check_forward, run_forward};
const CpOp kLinearLogProbabilitiesInputBackwardOp = {"linearLogProbabilitiesInputBackward",
                                                     input_backward_workspace_bytes,
                                                     check_input_backward, run_input_backward};
const CpOp kLinearLogProbabilitiesWeightBackwardOp = {"linearLogProbabilitiesWeightBackward",
                                                      weight_backward_workspace_bytes,
                                                      check_weight_backward, run_weight_backward};

}  // namespace compact::COMPACT_ISA
