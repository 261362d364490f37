// What the ops on logits x w^T share that never exist as a whole: sizes, and the products of a
// chunk of tokens.
//
// Logits exist for a chunk of tokens only, in workspace as fp32; their gradients take the same
// memory, each row in the dtype of x at the front of its fp32 row. With a soft cap logits are
// capped as soon as they are made.
#pragma once

#include "native/backend/quantized_operands.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/losses/softmax_loss.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {

// Sizes of a call; x is (tokens, width), the weight, or those of its rows that are asked for,
// (vocab, width).
struct LinearLogits {
    int64_t tokens, width, vocab, chunk;
    int32_t dtype;
    bool quantized;
    SoftCap soft_cap;  // of logits

    explicit LinearLogits(const CpCall& call)
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

    // Workspace of the products: the logits of a chunk, the gradient of x, that of the weight.
    int64_t product_bytes(const CpLimits* limits) const {
        return gemm_workspace_bytes(chunk, vocab, width, dtype, limits->threads);
    }
    int64_t input_product_bytes(const CpLimits* limits) const {
        return gemm_workspace_bytes(chunk, width, vocab, dtype, limits->threads);
    }
    int64_t weight_product_bytes(const CpLimits* limits) const {
        return gemm_workspace_bytes(vocab, width, chunk, dtype, limits->threads);
    }
};

// Losses (tokens) in double precision where they are wanted, logits (chunk, vocab), then that of
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

// ---- The three products of a chunk: `count` tokens from `token` ---------------------------------

inline GemmOperand rows_of(const CpTensor& matrix, int64_t row) {
    const int64_t width = matrix.shape[1];
    GemmOperand operand;
    operand.data = data<char>(matrix) + row * width * dtype_bytes(matrix.dtype);
    operand.stride = width;
    return operand;
}

inline GemmOperand weight_of(const CpCall& call, const LinearLogits& p) {
    if (!p.quantized) return rows_of(call.inputs[1], 0);
    GemmOperand operand;
    operand.quantized = int8_matrix(call, call.inputs[1], call.inputs[2]);
    return operand;
}

inline GemmOperand transposed(GemmOperand operand) {
    operand.transposed = true;
    return operand;
}

// logits (count, vocab) = x w^T, capped
inline void compute_logits(CpDevice& device, const CpCall& call, const LinearLogits& p,
                           const LogitsWorkspace& work, int64_t token, int64_t count) {
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
inline GemmOperand logit_gradients(const LinearLogits& p, const LogitsWorkspace& work) {
    GemmOperand operand;
    operand.data = work.logits;
    operand.stride = p.vocab * 4 / dtype_bytes(p.dtype);
    return operand;
}

// dx (count, width) = dLogits w
inline void compute_input_gradient(CpDevice& device, const CpCall& call, const LinearLogits& p,
                                   const LogitsWorkspace& work, const CpTensor& output,
                                   int64_t token, int64_t count) {
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
inline void compute_weight_gradient(CpDevice& device, const CpCall& call, const LinearLogits& p,
                                    const LogitsWorkspace& work, const CpTensor& output,
                                    int64_t token, int64_t count, bool accumulate) {
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

}  // namespace compact::COMPACT_ISA
