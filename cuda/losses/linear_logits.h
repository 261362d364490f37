// What the ops on logits x w^T share that never exist as a whole: sizes, and the products of a
// chunk of tokens.
//
// Logits exist for a chunk of tokens only, in workspace as fp32; their gradients take the same
// memory, each row in the dtype of x at the front of its fp32 row.
#pragma once

#include <algorithm>

#include "cuda/gemm/gemm.h"
#include "cuda/losses/softmax_loss.h"
#include "cuda/runtime/ops.h"
#include "native/backend/quantized_operands.h"

namespace compact {

// Sizes of a call; x is (tokens, width), the weight, or those of its rows that are asked for,
// (vocab, width).
struct LinearLogits {
    int64_t tokens, width, vocab, chunk;
    int64_t stride;  // logits from one row to the next: whole packs, so that all rows are aligned
    int32_t dtype;
    bool quantized;

    explicit LinearLogits(const CpCall& call)
        : tokens(call.inputs[0].shape[0]),
          width(call.inputs[0].shape[1]),
          dtype(call.inputs[0].dtype),
          quantized(call.inputs[1].dtype == CP_I8) {
        vocab = call.inputs[1].shape[0];
        stride = round_up(vocab, 8);
        const auto wanted = static_cast<int64_t>(attribute(call, "chunkTokens"));
        chunk = std::min(tokens, std::max<int64_t>(1, wanted));
    }

    // Codes are followed by their scales.
    const CpTensor& targets(const CpCall& call) const { return call.inputs[quantized ? 3 : 2]; }

    int64_t losses_bytes() const { return aligned(tokens * 8); }
    int64_t logits_bytes() const { return aligned(chunk * stride * 4); }
    // Of gradients, which lie at the front of the fp32 rows.
    int64_t gradient_stride() const { return stride * 4 / dtype_bytes(dtype); }
    int64_t last_chunk() const { return (tokens - 1) % chunk + 1; }

    // Workspace of the products of `count` tokens: their logits, the gradient of x, that of the
    // weight.
    int64_t product_bytes(int64_t count) const {
        return gemm_workspace_bytes(count, vocab, width, dtype);
    }
    int64_t input_product_bytes(int64_t count) const {
        return gemm_workspace_bytes(count, width, vocab, dtype);
    }
    int64_t weight_product_bytes(int64_t count) const {
        return gemm_workspace_bytes(vocab, width, count, dtype);
    }

    // The most that `bytes(count)` gives for a chunk.
    template <class Bytes>
    int64_t of_any_chunk(Bytes bytes) const {
        return std::max(bytes(chunk), bytes(last_chunk()));
    }
};

// Losses (tokens) in double precision where they are wanted, logits (chunk, stride), then that of
// the products.
struct LogitsWorkspace {
    double* losses;
    float* logits;
    void* gemm;

    LogitsWorkspace(const CpCall& call, const LinearLogits& p, bool with_losses = true) {
        char* memory = static_cast<char*>(call.workspace);
        losses = reinterpret_cast<double*>(memory);
        if (with_losses) memory += p.losses_bytes();
        logits = reinterpret_cast<float*>(memory);
        gemm = memory + p.logits_bytes();
    }
};

// ---- The three products of a chunk of `count` tokens that begins at `token` --------------------

inline CudaGemmOperand rows_of(const CpTensor& matrix, int64_t row, bool transposed) {
    const int64_t width = matrix.shape[1];
    return {data<char>(matrix) + row * width * dtype_bytes(matrix.dtype), matrix.dtype, width,
            transposed};
}

inline CudaGemmOperand weight_of(const CpCall& call, const LinearLogits& p, bool transposed) {
    if (!p.quantized) return rows_of(call.inputs[1], 0, transposed);
    CudaGemmOperand operand;
    operand.dtype = p.dtype;
    operand.transposed = transposed;
    operand.quantized = int8_matrix(call, call.inputs[1], call.inputs[2]);
    return operand;
}

// Gradients of the logits where they stand: elements of x's dtype in rows as long as the fp32 ones.
inline CudaGemmOperand logit_gradients(const LinearLogits& p, const LogitsWorkspace& work,
                                       bool transposed) {
    CudaGemmOperand operand{work.logits, p.dtype, p.gradient_stride(), transposed};
    operand.padded = true;
    return operand;
}

// logits (count, vocab) = x w^T, rows `stride` apart
inline CpStatus compute_logits(CpDevice& device, const char* op, const CpCall& call,
                               const LinearLogits& p, const LogitsWorkspace& work, int64_t token,
                               int64_t count, CpError* error) {
    CudaGemm product;
    product.m = count;
    product.n = p.vocab;
    product.k = p.width;
    product.a = rows_of(call.inputs[0], token, false);
    product.b = weight_of(call, p, true);
    product.c = work.logits;
    product.c_stride = p.stride;
    return gemm(device, op, product, work.gemm, error);
}

// dx (count, width) = dLogits w
inline CpStatus compute_input_gradient(CpDevice& device, const char* op, const CpCall& call,
                                       const LinearLogits& p, const LogitsWorkspace& work,
                                       const CpTensor& output, int64_t token, int64_t count,
                                       CpError* error) {
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
inline CpStatus compute_weight_gradient(CpDevice& device, const char* op, const CpCall& call,
                                        const LinearLogits& p, const LogitsWorkspace& work,
                                        const CpTensor& output, int64_t token, int64_t count,
                                        bool accumulate, CpError* error) {
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

// Where the gradients of the logits of a chunk go.
inline SoftmaxGradient gradient_of_chunk(const LinearLogits& p, const LogitsWorkspace& work,
                                         float scale) {
    return {work.logits, p.dtype, p.gradient_stride(), true, scale};
}

// Rows of a chunk of `count` tokens from `first` on.
inline SoftmaxRows rows_of_chunk(const CpCall& call, const LinearLogits& p,
                                 const LogitsWorkspace& work, const IndexCheck& check,
                                 int64_t first, int64_t count) {
    SoftmaxRows rows;
    rows.logits = work.logits;
    rows.first_token = first;
    rows.count = count;
    rows.classes = p.vocab;
    rows.stride = p.stride;
    rows.targets = data<const int32_t>(p.targets(call));
    rows.ignore_index = static_cast<int64_t>(attribute(call, "ignoreIndex"));
    rows.soft_cap = {static_cast<float>(attribute(call, "softCap"))};
    rows.losses = work.losses;
    rows.check = check;
    return rows;
}

}  // namespace compact
