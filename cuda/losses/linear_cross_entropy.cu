// linearCrossEntropy: the output layer and its loss, lossScale * sum(lse(x w^T) - (x w^T)[target]),
// and the gradients of x and w, or of x alone, in the same pass; or the gradient of some rows of w,
// from the log-sum-exp that the pass for x has left. The weight may be in int8 groups.
//
// Logits exist for a chunk of tokens only, in workspace as fp32; their gradients take the same
// memory, each row in the dtype of x at the front of its fp32 row.
//
// Limit: tensor-core rate of the three products; the softmax adds 10 to 14 bytes per logit.
#include <algorithm>

#include "cuda/gemm/gemm.h"
#include "cuda/losses/softmax_loss.h"
#include "cuda/runtime/ops.h"
#include "native/backend/quantized_operands.h"

namespace compact {
namespace {

// Sizes of a call; x is (tokens, width), the weight, or those of its rows that are asked for,
// (vocab, width).
struct Problem {
    int64_t tokens, width, vocab, chunk;
    int32_t dtype;
    bool quantized;

    explicit Problem(const CpCall& call)
        : tokens(call.inputs[0].shape[0]),
          width(call.inputs[0].shape[1]),
          dtype(call.inputs[0].dtype),
          quantized(call.inputs[1].dtype == CP_I8) {
        vocab = call.inputs[1].shape[0];
        const auto wanted = static_cast<int64_t>(attribute(call, "chunkTokens"));
        chunk = std::min(tokens, std::max<int64_t>(1, wanted));
    }

    // Codes are followed by their scales.
    const CpTensor& targets(const CpCall& call) const { return call.inputs[quantized ? 3 : 2]; }

    int64_t losses_bytes() const { return aligned(tokens * 8); }
    int64_t logits_bytes() const { return aligned(chunk * vocab * 4); }
    int64_t last_chunk() const { return (tokens - 1) % chunk + 1; }
};

// ---- Workspace: losses (tokens), logits (chunk, vocab), then that of the products ---------------

int64_t forward_gemm_bytes(const Problem& p, int64_t count) {
    return gemm_workspace_bytes(count, p.vocab, p.width, p.dtype);
}

int64_t input_gemm_bytes(const Problem& p, int64_t count) {
    return std::max(forward_gemm_bytes(p, count),
                    gemm_workspace_bytes(count, p.width, p.vocab, p.dtype));
}

int64_t weight_gemm_bytes(const Problem& p, int64_t count) {
    return gemm_workspace_bytes(p.vocab, p.width, count, p.dtype);
}

int64_t backward_gemm_bytes(const Problem& p, int64_t count) {
    return std::max(input_gemm_bytes(p, count), weight_gemm_bytes(p, count));
}

int64_t rows_gemm_bytes(const Problem& p, int64_t count) {
    return std::max(forward_gemm_bytes(p, count), weight_gemm_bytes(p, count));
}

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           std::max(forward_gemm_bytes(p, p.chunk), forward_gemm_bytes(p, p.last_chunk()));
}

int64_t input_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           std::max(input_gemm_bytes(p, p.chunk), input_gemm_bytes(p, p.last_chunk()));
}

int64_t backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    return p.losses_bytes() + p.logits_bytes() +
           std::max(backward_gemm_bytes(p, p.chunk), backward_gemm_bytes(p, p.last_chunk()));
}

// No losses.
int64_t rows_backward_workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    return p.logits_bytes() +
           std::max(rows_gemm_bytes(p, p.chunk), rows_gemm_bytes(p, p.last_chunk()));
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

// ---- The three products of a chunk of `count` tokens that begins at `token` --------------------

CudaGemmOperand rows_of(const CpTensor& matrix, int64_t row, bool transposed) {
    const int64_t width = matrix.shape[1];
    return {data<char>(matrix) + row * width * dtype_bytes(matrix.dtype), matrix.dtype, width,
            transposed};
}

CudaGemmOperand weight_of(const CpCall& call, const Problem& p, bool transposed) {
    if (!p.quantized) return rows_of(call.inputs[1], 0, transposed);
    CudaGemmOperand operand;
    operand.dtype = p.dtype;
    operand.transposed = transposed;
    operand.quantized = int8_matrix(call, call.inputs[1], call.inputs[2]);
    return operand;
}

// Gradients of the logits where they stand: elements of x's dtype in rows as long as the fp32 ones.
CudaGemmOperand logit_gradients(const Problem& p, const Workspace& work, bool transposed) {
    return {work.logits, p.dtype, p.vocab * 4 / dtype_bytes(p.dtype), transposed};
}

// logits (count, vocab) = x w^T
CpStatus compute_logits(CpDevice& device, const char* op, const CpCall& call, const Problem& p,
                        const Workspace& work, int64_t token, int64_t count, CpError* error) {
    CudaGemm product;
    product.m = count;
    product.n = p.vocab;
    product.k = p.width;
    product.a = rows_of(call.inputs[0], token, false);
    product.b = weight_of(call, p, true);
    product.c = work.logits;
    product.c_stride = p.vocab;
    return gemm(device, op, product, work.gemm, error);
}

// dx (count, width) = dLogits w
CpStatus compute_input_gradient(CpDevice& device, const char* op, const CpCall& call,
                                const Problem& p, const Workspace& work, int64_t token,
                                int64_t count, CpError* error) {
    const CpTensor& output = call.outputs[1];
    CudaGemm product;
    product.m = count;
    product.n = p.width;
    product.k = p.vocab;
    product.a = logit_gradients(p, work, false);
    product.b = weight_of(call, p, false);
    product.c = data<char>(output) + token * p.width * dtype_bytes(output.dtype);
    product.c_dtype = output.dtype;
    product.c_stride = p.width;
    return gemm(device, op, product, work.gemm, error);
}

// dWeight (vocab, width) [+]= dLogits^T x
CpStatus compute_weight_gradient(CpDevice& device, const char* op, const CpCall& call,
                                 const Problem& p, const Workspace& work, const CpTensor& output,
                                 int64_t token, int64_t count, bool accumulate, CpError* error) {
    CudaGemm product;
    product.m = p.vocab;
    product.n = p.width;
    product.k = count;
    product.a = logit_gradients(p, work, true);
    product.b = rows_of(call.inputs[0], token, false);
    product.c = output.data;
    product.c_dtype = output.dtype;
    product.c_stride = p.width;
    product.accumulate = accumulate;
    return gemm(device, op, product, work.gemm, error);
}

// ---- Runs --------------------------------------------------------------------------------------

SoftmaxRows rows_of_chunk(const CpCall& call, const Problem& p, const Workspace& work,
                          const IndexCheck& check, int64_t first, int64_t count) {
    SoftmaxRows rows;
    rows.logits = work.logits;
    rows.first_token = first;
    rows.count = count;
    rows.classes = p.vocab;
    rows.targets = data<const int32_t>(p.targets(call));
    rows.ignore_index = static_cast<int64_t>(attribute(call, "ignoreIndex"));
    rows.soft_cap = {static_cast<float>(attribute(call, "softCap"))};
    rows.losses = work.losses;
    rows.check = check;
    return rows;
}

CpStatus forward(CpDevice* device, const CpCall* call, const char* op, CpError* error) {
    const Problem p(*call);
    const Workspace work(*call, p);
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

// Where the gradients of the logits of a chunk go.
SoftmaxGradient gradient_of_chunk(const CpCall& call, const Problem& p, const Workspace& work) {
    return {work.logits, p.dtype, p.vocab * 4 / dtype_bytes(p.dtype),
            static_cast<float>(attribute(call, "lossScale"))};
}

// `after_input(first, count)` follows on the gradient of the input of each chunk. `lse` (tokens)
// may be null.
template <class AfterInput>
CpStatus differentiate(CpDevice* device, const CpCall* call, const char* op, float* lse,
                       CpError* error, AfterInput after_input) {
    const Problem p(*call);
    const Workspace work(*call, p);
    const IndexCheck check = check_indices(*device, op, "targets", p.vocab);
    const SoftmaxGradient gradient = gradient_of_chunk(*call, p, work);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(*call, p, work, check, first, count);
        rows.lse = lse;
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_gradients(*device, op, rows, gradient, error) != CP_OK ||
            compute_input_gradient(*device, op, *call, p, work, first, count, error) != CP_OK ||
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
    const Problem p(*call);
    const Workspace work(*call, p);
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
    const Problem p(*call);
    const Workspace work(*call, p, false);
    const SoftmaxGradient gradient = gradient_of_chunk(*call, p, work);
    for (int64_t first = 0; first < p.tokens; first += p.chunk) {
        const int64_t count = std::min(p.chunk, p.tokens - first);
        SoftmaxRows rows = rows_of_chunk(*call, p, work, {}, first, count);
        rows.lse = data<float>(call->inputs[3]);
        rows.first_class = static_cast<int64_t>(attribute(*call, "first"));
        if (compute_logits(*device, op, *call, p, work, first, count, error) != CP_OK ||
            softmax_gradients_from_lse(*device, op, rows, gradient, error) != CP_OK ||
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
