// orthonormalize: q has orthonormal columns that span those of x, in their order.
//
// Cholesky QR: x^T x = U^T U, q = x U^-1, repeated because the first pass squares the condition of
// x. A column that depends on those before it is replaced by numbers of a generator, which the next
// pass makes orthogonal to the others.
#include <algorithm>
#include <utility>

#include "native/backend/product_checks.h"
#include "native/base/bf16.h"
#include "native/base/orthonormal.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

constexpr int64_t kRowsOfTask = 256;

struct Problem {
    int64_t rows, columns;

    explicit Problem(const CpCall& call)
        : rows(call.inputs[0].shape[0]), columns(call.inputs[0].shape[1]) {}

    static int64_t f32_bytes(int64_t elements) { return (elements * 4 + 63) / 64 * 64; }
    int64_t matrix_bytes() const { return f32_bytes(rows * columns); }
    int64_t factor_bytes() const { return f32_bytes(columns * columns); }
};

// Workspace: two matrices (rows, columns) that passes read and write in turn, U and its inverse
// (columns, columns), that of the products.
int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    const int threads = limits->threads;
    return 2 * p.matrix_bytes() + 2 * p.factor_bytes() +
           std::max(gemm_workspace_bytes(p.columns, p.columns, p.rows, CP_F32, threads),
                    gemm_workspace_bytes(p.rows, p.columns, p.columns, CP_F32, threads));
}

// Turns the upper half of a Gram matrix into U, U^T U = Gram; a row of zeros for a column that
// depends on those before it.
void factorize(float* u, int64_t n) {
    for (int64_t j = 0; j < n; ++j) {
        float* row = u + j * n;
        const float square = row[j];
        for (int64_t i = 0; i < j; ++i) {
            const float* above = u + i * n;
            const float factor = above[j];
            for (int64_t k = j; k < n; ++k) row[k] -= factor * above[k];
        }
        const float pivot = orthonormal_pivot(row[j], square);
        const float inverse = pivot > 0.0f ? 1.0f / pivot : 0.0f;
        for (int64_t k = j; k < n; ++k) row[k] *= inverse;
    }
}

// U^-1, upper triangular, with a row and a column of zeros where U has a row of zeros.
void invert(const float* u, float* inverse, int64_t n) {
    std::fill_n(inverse, n * n, 0.0f);
    for (int64_t j = n - 1; j >= 0; --j) {
        float* row = inverse + j * n;
        const float diagonal = u[j * n + j];
        if (diagonal == 0.0f) continue;
        for (int64_t k = j + 1; k < n; ++k) {
            const float* below = inverse + k * n;
            const float factor = u[j * n + k];
            for (int64_t c = k; c < n; ++c) row[c] -= factor * below[c];
        }
        row[j] = 1.0f;
        for (int64_t c = j; c < n; ++c) row[c] /= diagonal;
    }
}

template <class Body>
void for_rows(CpDevice& device, int64_t rows, Body body) {
    device.pool.parallel_for((rows + kRowsOfTask - 1) / kRowsOfTask, [&](int64_t task, int) {
        const int64_t end = std::min(rows, (task + 1) * kRowsOfTask);
        for (int64_t row = task * kRowsOfTask; row < end; ++row) body(row);
    });
}

float element(const CpTensor& tensor, int64_t i) {
    return tensor.dtype == CP_F32 ? static_cast<const float*>(tensor.data)[i]
                                  : bf16_to_float(static_cast<const uint16_t*>(tensor.data)[i]);
}

void store(const CpTensor& tensor, int64_t i, float value) {
    if (tensor.dtype == CP_F32) {
        static_cast<float*>(tensor.data)[i] = value;
    } else {
        static_cast<uint16_t*>(tensor.data)[i] = bf16_from_float(value);
    }
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &x = call->inputs[0], &q = call->outputs[0];
    const Problem p(*call);
    char* memory = static_cast<char*>(call->workspace);
    float* from = reinterpret_cast<float*>(memory);
    float* to = reinterpret_cast<float*>(memory + p.matrix_bytes());
    float* u = reinterpret_cast<float*>(memory + 2 * p.matrix_bytes());
    float* inverse = reinterpret_cast<float*>(memory + 2 * p.matrix_bytes() + p.factor_bytes());
    void* gemm_workspace = memory + 2 * p.matrix_bytes() + 2 * p.factor_bytes();

    for_rows(*device, p.rows, [&](int64_t row) {
        for (int64_t i = row * p.columns; i < (row + 1) * p.columns; ++i) from[i] = element(x, i);
    });

    Gemm gram;  // u = from^T from
    gram.m = gram.n = p.columns;
    gram.k = p.rows;
    gram.a.stride = gram.b.stride = p.columns;
    gram.a.transposed = true;
    gram.c = u;
    gram.c_stride = p.columns;

    Gemm solve;  // to = from u^-1
    solve.m = p.rows;
    solve.n = solve.k = p.columns;
    solve.a.stride = solve.b.stride = p.columns;
    solve.b.data = inverse;
    solve.c_stride = p.columns;

    for (int pass = 0; pass < kOrthonormalPasses; ++pass) {
        gram.a.data = gram.b.data = solve.a.data = from;
        solve.c = to;
        gemm(*device, gram, gemm_workspace);
        factorize(u, p.columns);
        invert(u, inverse, p.columns);
        gemm(*device, solve, gemm_workspace);
        for (int64_t column = 0; column < p.columns; ++column) {
            if (u[column * p.columns + column] != 0.0f) continue;
            for (int64_t row = 0; row < p.rows; ++row) {
                to[row * p.columns + column] = orthonormal_replacement(row, column, pass);
            }
        }
        std::swap(from, to);
    }
    for_rows(*device, p.rows, [&](int64_t row) {
        for (int64_t i = row * p.columns; i < (row + 1) * p.columns; ++i) store(q, i, from[i]);
    });
    return CP_OK;
}

}  // namespace

const CpOp kOrthonormalizeOp = {"orthonormalize", workspace_bytes, check_orthonormalize, run};

}  // namespace compact
