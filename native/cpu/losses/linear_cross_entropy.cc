// linearCrossEntropy: the output layer and its loss, lossScale * sum(lse(x w^T) - (x w^T)[target]),
// and the gradients of x and w, or of x alone, in the same pass; or the gradient of some rows of w,
// from the log-sum-exp that the pass for x has left. The weight may be in int8 groups.
//
// Logits exist for a chunk of tokens only, in workspace as fp32; their gradients take the same
// memory, each row in the dtype of x at the front of its fp32 row. With a soft cap logits are
// capped as soon as they are made.
#include "native/backend/quantized_operands.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/losses/softmax_loss.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

// Sizes of a call; x is (tokens, width), the weight, or those of its rows that are asked for,
// (vocab, width).
struct Problem {
    int64_t tokens, width, vocab, chunk;
    int32_t dtype;
    bool quantized;
    SoftCap soft_cap;  // of logits

    explicit Problem(const CpCall& call)
        : tokens(call.inputs[0].shape[0]),
          width(call.inputs[0].shape[1]),
          dtype(call.inputs[0].dtype),
          quantized(call.inputs[1].dtype == CP_I8),
          soft_cap(call) {
        vocab = call.inputs[1].shape[0];
        const auto wanted = static_cast<int64_t>(attribute(call, "chunkTokens"));
        chunk = std::min(tokens, std::max<int64_t>(1, wanted));
    }

    // Codes are followed by their scales.
    const CpTensor& targets(const CpCall& call) const { return call.inputs[quantized ? 3 : 2]; }

    int64_t losses_bytes() const { return aligned(tokens * static_cast<int64_t>(sizeof(double))); }
    int64_t logits_bytes() const { return aligned(chunk * vocab * 4); }
};

// ---- Workspace: losses (tokens), logits (chunk, vocab), then that of the products. --------------

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           gemm_workspace_bytes(p.chunk, p.vocab, p.width, p.dtype, limits->threads);
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           std::max(gemm_workspace_bytes(p.chunk, p.vocab, p.width, p.dtype, limits->threads),
                    gemm_workspace_bytes(p.chunk, p.width, p.vocab, p.dtype, limits->threads));
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return std::max(input_backward_workspace_bytes(call, limits),
                    p.losses_bytes() + p.logits_bytes() +
                        gemm_workspace_bytes(p.vocab, p.width, p.chunk, p.dtype, limits->threads));
}

// No losses.
int64_t rows_backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return p.logits_bytes() +
           std::max(gemm_workspace_bytes(p.chunk, p.vocab, p.width, p.dtype, limits->threads),
                    gemm_workspace_bytes(p.vocab, p.width, p.chunk, p.dtype, limits->threads));
}

struct Workspace {
    double* losses;
    float* logits;
    void* gemm;

    Workspace(const CpCall& call, const Problem& p, bool with_losses = true) {
        char* memory = static_cast<char*>(call.workspace);
        losses = reinterpret_cast<double*>(memory);
        if (with_losses) memory += p.losses_bytes();
        logits = reinterpret_cast<float*>(memory);
        gemm = memory + p.logits_bytes();
    }
};

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

// ---- The three products of a chunk: `count` tokens from `token` ---------------------------------

GemmOperand rows_of(const CpTensor& matrix, int64_t row) {
    const int64_t width = matrix.shape[1];
    GemmOperand operand;
    operand.data = data<char>(matrix) + row * width * dtype_bytes(matrix.dtype);
    operand.stride = width;
    return operand;
}

GemmOperand weight_of(const CpCall& call, const Problem& p) {
    if (!p.quantized) return rows_of(call.inputs[1], 0);
    GemmOperand operand;
    operand.quantized = int8_matrix(call, call.inputs[1], call.inputs[2]);
    return operand;
}

GemmOperand transposed(GemmOperand operand) {
    operand.transposed = true;
    return operand;
}

// logits (count, vocab) = x w^T, capped
void compute_logits(CpDevice& device, const CpCall& call, const Problem& p, const Workspace& work,
                    int64_t token, int64_t count) {
    Gemm product;
    product.m = count;
    product.n = p.vocab;
    product.k = p.width;
    product.dtype = p.dtype;
    product.a = rows_of(call.inputs[0], token);
    product.b = transposed(weight_of(call, p));
    product.c = work.logits;
    product.c_stride = p.vocab;
    gemm(device, product, work.gemm);
    if (!p.soft_cap.exists()) return;
    for_chunks(device, count * p.vocab, kChunkElements, [&](int64_t begin, int64_t end, int) {
        p.soft_cap.apply(end - begin, work.logits + begin);
    });
}

// Gradients of the logits where they stand: elements of x's dtype in rows as long as the fp32 ones.
GemmOperand logit_gradients(const Problem& p, const Workspace& work) {
    GemmOperand operand;
    operand.data = work.logits;
    operand.stride = p.vocab * 4 / dtype_bytes(p.dtype);
    return operand;
}

// dx (count, width) = dLogits w
void compute_input_gradient(CpDevice& device, const CpCall& call, const Problem& p,
                            const Workspace& work, int64_t token, int64_t count) {
    const CpTensor& output = call.outputs[1];
    Gemm product;
    product.m = count;
    product.n = p.width;
    product.k = p.vocab;
    product.dtype = p.dtype;
    product.a = logit_gradients(p, work);
    product.b = weight_of(call, p);
    product.c = data<char>(output) + token * p.width * dtype_bytes(output.dtype);
    product.c_dtype = output.dtype;
    product.c_stride = p.width;
    gemm(device, product, work.gemm);
}

// dWeight (vocab, width) [+]= dLogits^T x
void compute_weight_gradient(CpDevice& device, const CpCall& call, const Problem& p,
                             const Workspace& work, const CpTensor& output, int64_t token,
                             int64_t count, bool accumulate) {
    Gemm product;
    product.m = p.vocab;
    product.n = p.width;
    product.k = count;
    product.dtype = p.dtype;
    product.a = transposed(logit_gradients(p, work));
    product.b = rows_of(call.inputs[0], token);
    product.c = output.data;
    product.c_dtype = output.dtype;
    product.c_stride = output.shape[1];
    product.accumulate = accumulate;
    gemm(device, product, work.gemm);
}

// ---- Runs ---------------------------------------------------------------------------------------

CpStatus forward(CpDevice* device, const CpCall* call, const char* op, CpError* error) {
    const Problem p(*call);
    const Targets targets(*call, p.targets(*call), p.vocab);
    if (targets.check(op, error) != CP_OK) return CP_FAILED;
    const Workspace work(*call, p);
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
double differentiate_row(const Problem& p, float* logits, const Targets& targets, int64_t token,
                         float scale, float* lse) {
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
    const Problem p(*call);
    const Targets targets(*call, p.targets(*call), p.vocab);
    if (targets.check(op, error) != CP_OK) return CP_FAILED;
    const Workspace work(*call, p);
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
        compute_input_gradient(*device, *call, p, work, first, count);
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
    const Problem p(*call);
    const Workspace work(*call, p);
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
    const Problem p(*call);
    const Targets targets(*call, call->inputs[2], p.vocab);
    const Workspace work(*call, p, false);
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
