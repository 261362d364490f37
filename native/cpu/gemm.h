// C (+)= alpha * A B for row-major operands of f32 or bf16, fp32 accumulation.
//
// A and B are packed block by block; an operand may be a strided view, transposed, or the random
// projection, which is generated straight into the packed block and so never exists as a matrix.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"
#include "native/cpu/cpu_device.h"
#include "native/cpu/projection.h"

namespace compact {

struct GemmOperand {
    const void* data = nullptr;  // nullptr: the projection `key`
    int64_t stride = 0;          // elements between rows of the stored matrix
    bool transposed = false;     // the stored matrix is the transpose of the operand
    ProjectionKey key{};
};

// Applied to a finished tile of fp32 sums (already times alpha) instead of the plain store.
struct GemmEpilogue {
    // values: rows x cols, `value_stride` floats between rows; (row, col) of its corner in C.
    void (*apply)(void* context, const float* values, int64_t value_stride, int64_t row, int64_t col,
                  int64_t rows, int64_t cols) = nullptr;
    void* context = nullptr;
};

struct Gemm {
    int64_t m = 0, n = 0, k = 0;
    int32_t dtype = CP_F32;  // of A and B
    GemmOperand a, b;
    void* c = nullptr;  // (m, n)
    int32_t c_dtype = CP_F32;
    int64_t c_stride = 0;
    float alpha = 1.0f;
    bool accumulate = false;
    GemmEpilogue epilogue;  // when set, c and accumulate are ignored
};

int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int32_t dtype, int threads);
void gemm(CpDevice& device, const Gemm& problem, void* workspace);

}  // namespace compact
