// C (+)= alpha * A B on one GPU: row-major operands of f32 or bf16, fp32 accumulation.
//
// bf16 runs on tensor cores (gemm_tensor.cuh, or gemm_warpgroup.cuh where kernel_choice.h says so),
// f32 and mixed operands on CUDA cores (gemm_simple.cuh). Any size, stride and alignment; 16-byte
// aligned rows are faster. An operand may be stored, decoded from codes, or generated from a seed,
// the last two while tiles are loaded. Small products with a long inner dimension are split along
// it: partial sums go to the workspace and are added in a fixed order, so results are the same on
// every run.
#pragma once

#include <cstdint>

#include "cuda/projection/projection.h"
#include "cuda/runtime/device.h"
#include "native/base/quantized_matrix.h"
#include "native/base/stochastic_rounding.h"

namespace compact {

// A panel of Phat that the product makes for itself.
struct GeneratedPhat {
    PhatKey key;
    PhatPanel panel;
};

struct CudaGemmOperand {
    const void* data = nullptr;
    int32_t dtype = CP_F32;
    int64_t stride = 0;                   // elements between rows of the stored matrix
    bool transposed = false;              // the stored matrix is the transpose of the operand
    const GeneratedPhat* phat = nullptr;  // where it is set, nothing is read from `data`
    QuantizedMatrix quantized{};          // where it has codes: of B alone, decoded to `dtype`
    bool padded = false;                  // stored rows go on with finite numbers to whole chunks

    bool is_quantized() const { return quantized.codes != nullptr; }
};

// A panel in memory, or, where `generated` is given, one that the product makes.
inline CudaGemmOperand panel_operand(const PhatPanel& panel, const uint16_t* phat, bool transposed,
                                     const GeneratedPhat* generated = nullptr) {
    CudaGemmOperand operand{phat, CP_BF16, panel.stride(), transposed, generated};
    operand.padded = true;
    return operand;
}

// Rows of bf16 that can be read 16 bytes at a time.
inline bool aligned(const CudaGemmOperand& operand) {
    return operand.stride % 8 == 0 && reinterpret_cast<uintptr_t>(operand.data) % 16 == 0;
}

// Whether stored rows of bf16, `length` elements long, can be read in whole chunks of 16 bytes.
inline bool has_whole_chunks(const CudaGemmOperand& operand, int64_t length) {
    return aligned(operand) && (operand.padded || length % 8 == 0);
}

// Whether a product of Phat with `other` is to make Phat for itself: B of x P, or A of an update.
// The same bits as from a panel in memory, and the same order of summation. Rows of `other` are
// `length` elements long.
bool phat_in_kernel(const CpDevice& device, const PhatKey& key, const CudaGemmOperand& other,
                    int64_t length);

// W = W (1 - decay) - step_size * sum, the update of a projected weight, in place of the store.
struct WeightUpdate {
    float keep = 1.0f;       // 1 - learning rate * weight decay
    float step_size = 0.0f;  // learning rate * update scale / sqrt(rank)
    bool stochastic_rounding = false;
    RoundingKey key{};
    int64_t first_row = 0;  // row of the whole weight where C begins
};

struct CudaGemm {
    int64_t m = 0, n = 0, k = 0;
    CudaGemmOperand a, b;
    void* c = nullptr;  // (m, n)
    int32_t c_dtype = CP_F32;
    int64_t c_stride = 0;
    float alpha = 1.0f;
    bool accumulate = false;
    // When set, C is the weight; alpha and accumulate are unused, no operand is transposed.
    const WeightUpdate* update = nullptr;
    // When set, gets the sum of the squares of C as it is stored; C has no gaps between its rows.
    float* squares = nullptr;
};

// Depends on the shape alone, so a plan can be made on any machine.
int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype);
// With squares.
int64_t gemm_squares_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype);
CpStatus gemm(CpDevice& device, const char* op, const CudaGemm& problem, void* workspace,
              CpError* error);

// Products that do not depend on each other, each with a workspace of its own.
struct GemmGroup {
    CudaGemm products[CP_MAX_GROUP];
    void* workspaces[CP_MAX_GROUP] = {};
    int32_t count = 0;

    void add(const CudaGemm& product, void* workspace) {
        products[count] = product;
        workspaces[count++] = workspace;
    }
};

// The results of gemm() for each, to the bit; in one launch where they share A and the device's own
// kernels for aligned bf16 do them.
CpStatus gemm_group(CpDevice& device, const char* op, const GemmGroup& group, CpError* error);

inline bool a_has_whole_chunks(const CudaGemm& p) {
    return has_whole_chunks(p.a, p.a.transposed ? p.m : p.k);
}
inline bool b_has_whole_chunks(const CudaGemm& p) {
    return has_whole_chunks(p.b, p.b.transposed ? p.k : p.n);
}

// How many parts the inner dimension is cut into.
int64_t gemm_splits(int64_t m, int64_t n, int64_t k);

}  // namespace compact
