// C = alpha * A B (+ beta * C) for row-major operands of f32 or bf16, summed in fp32.
//
// A and B are packed panel by panel. An operand may be stored, a strided view, perhaps transposed;
// or quantised, decoded from its codes; or the random projection, generated from a seed. The last
// two are made straight into the packed panel and so never exist as a matrix.
//
// An element of C is one chain of fp32 additions in ascending order of k (of a few chains, when k
// is long and C small, cut by shape alone), so results do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"
#include "native/base/quantized_matrix.h"
#include "native/base/stochastic_rounding.h"
#include "native/cpu/projection/projection.h"
#include "native/cpu/runtime/cpu_device.h"

namespace compact {

struct GemmOperand {
    const void* data = nullptr;  // nullptr: `quantized`, or where that has no codes Phat of `key`
    int64_t stride = 0;          // elements between rows of the stored matrix
    bool transposed = false;     // the stored, quantised or generated matrix is its transpose
    QuantizedMatrix quantized{};
    ProjectionKey key{};
    int64_t first_row = 0, first_column = 0;  // of what is quantised or generated, where it begins

    bool is_stored() const { return data != nullptr; }
    bool is_quantized() const { return quantized.codes != nullptr; }
};

struct Gemm {
    int64_t m = 0, n = 0, k = 0;
    int32_t dtype = CP_F32;  // of A and B
    GemmOperand a, b;        // (m, k) and (k, n)
    void* c = nullptr;       // (m, n)
    int32_t c_dtype = CP_F32;
    int64_t c_stride = 0;
    float alpha = 1.0f;
    bool accumulate = false;
    float beta = 1.0f;                      // factor on the old C when accumulating
    const RoundingKey* rounding = nullptr;  // when set, a bf16 C is rounded stochastically
    float* squares = nullptr;  // when set, gets the sum of the squares of C as it is stored
};

// Scratch of a product on all threads of a device, or on the calling thread alone. Bounds for every
// instruction set; they grow with each of m, n and k.
int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype, int threads);
int64_t gemm_serial_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype);
// What a product on all threads needs in addition for the squares of C.
int64_t gemm_squares_bytes(int64_t m, int64_t n);

// `workspace` is 64-byte aligned; its contents do not matter.
void gemm(CpDevice& device, const Gemm& problem, void* workspace);

// For small products inside a task of a thread pool, without squares.
void gemm_serial(InstructionSet set, const Gemm& problem, void* workspace);

}  // namespace compact
