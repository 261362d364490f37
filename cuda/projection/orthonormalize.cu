// orthonormalize: q has orthonormal columns that span those of x, in their order.
//
// Cholesky QR: x^T x = U^T U, q = x U^-1, repeated because the first pass squares the condition of
// x. A column that depends on those before it is replaced by numbers of a generator, which the next
// pass makes orthogonal to the others. Runs once in many steps: one block makes U, a thread each
// column of its inverse, and the products are those of CUDA cores, in fp32.
#include <algorithm>
#include <utility>

#include "cuda/gemm/gemm.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/product_checks.h"
#include "native/base/orthonormal.h"

namespace compact {
namespace {

constexpr int kFactorThreads = 512, kThreads = 128;

struct Problem {
    int64_t rows, columns;

    explicit Problem(const CpCall& call)
        : rows(call.inputs[0].shape[0]), columns(call.inputs[0].shape[1]) {}

    int64_t matrix_bytes() const { return aligned(rows * columns * 4); }
    int64_t factor_bytes() const { return aligned(columns * columns * 4); }
};

// Workspace: two matrices (rows, columns) that passes read and write in turn, U and its inverse
// (columns, columns), that of the products.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    return 2 * p.matrix_bytes() + 2 * p.factor_bytes() +
           std::max(gemm_workspace_bytes(p.columns, p.columns, p.rows, CP_F32),
                    gemm_workspace_bytes(p.rows, p.columns, p.columns, CP_F32));
}

// Turns the upper half of a Gram matrix into U, U^T U = Gram, row by row; a row of zeros for a
// column that depends on those before it.
__global__ void __launch_bounds__(kFactorThreads) factorize_kernel(float* u, int64_t n) {
    CP_SHARED(float[1], pivot);
    for (int64_t j = 0; j < n; ++j) {
        for (int64_t k = j + threadIdx.x; k < n; k += kFactorThreads) {
            const float given = u[j * n + k];
            float remainder = given;
            for (int64_t i = 0; i < j; ++i) remainder -= u[i * n + j] * u[i * n + k];
            u[j * n + k] = remainder;
            if (k == j) pivot[0] = orthonormal_pivot(remainder, given);
        }
        __syncthreads();
        const float inverse = pivot[0] > 0.0f ? 1.0f / pivot[0] : 0.0f;
        for (int64_t k = j + threadIdx.x; k < n; k += kFactorThreads) u[j * n + k] *= inverse;
        __syncthreads();
    }
}

// U^-1, a column for each thread, with a row and a column of zeros where U has a row of zeros.
__global__ void __launch_bounds__(kThreads)
    invert_kernel(const float* __restrict__ u, float* inverse, int64_t n) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (column >= n) return;
    for (int64_t j = n - 1; j >= 0; --j) {
        const float diagonal = u[j * n + j];
        float value = j == column ? 1.0f : 0.0f;
        for (int64_t k = j + 1; k <= column; ++k) value -= u[j * n + k] * inverse[k * n + column];
        inverse[j * n + column] = diagonal == 0.0f || j > column ? 0.0f : value / diagonal;
    }
}

// A block for each column; those that do not depend on others stay.
__global__ void __launch_bounds__(kThreads)
    replace_kernel(const float* __restrict__ u, float* matrix, int64_t rows, int64_t columns,
                   int pass) {
    const int64_t column = blockIdx.x;
    if (u[column * columns + column] != 0.0f) return;
    for (int64_t row = threadIdx.x; row < rows; row += kThreads) {
        matrix[row * columns + column] = orthonormal_replacement(row, column, pass);
    }
}

struct Same {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0];
    }
};

template <class In, class Out>
void convert(CpDevice& device, const void* from, void* to, int64_t count) {
    const Elementwise<In, Out, 1, 1, Same> work{
        {static_cast<const In*>(from)}, {static_cast<Out*>(to)}, count, Same{}};
    CP_LAUNCH((elementwise_kernel<In, Out, 1, 1, Same>), elementwise_grid(count),
              dim3(kElementwiseThreads), 0, device.stream, work);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "orthonormalize";
    const CpTensor &x = call->inputs[0], &q = call->outputs[0];
    const Problem p(*call);
    char* memory = static_cast<char*>(call->workspace);
    auto* from = reinterpret_cast<float*>(memory);
    auto* to = reinterpret_cast<float*>(memory + p.matrix_bytes());
    auto* u = reinterpret_cast<float*>(memory + 2 * p.matrix_bytes());
    auto* inverse = reinterpret_cast<float*>(memory + 2 * p.matrix_bytes() + p.factor_bytes());
    void* gemm_workspace = memory + 2 * p.matrix_bytes() + 2 * p.factor_bytes();

    dispatch(x.dtype, [&](auto* type) {
        convert<std::remove_pointer_t<decltype(type)>, float>(*device, x.data, from,
                                                              p.rows * p.columns);
    });
    if (check_launch(*device, op, error) != CP_OK) return CP_FAILED;

    CudaGemm gram;  // u = from^T from
    gram.m = gram.n = p.columns;
    gram.k = p.rows;
    gram.c = u;
    gram.c_stride = p.columns;

    CudaGemm solve;  // to = from u^-1
    solve.m = p.rows;
    solve.n = solve.k = p.columns;
    solve.b = {inverse, CP_F32, p.columns, false};
    solve.c_stride = p.columns;

    for (int pass = 0; pass < kOrthonormalPasses; ++pass) {
        gram.a = {from, CP_F32, p.columns, true};
        gram.b = solve.a = {from, CP_F32, p.columns, false};
        solve.c = to;
        if (gemm(*device, op, gram, gemm_workspace, error) != CP_OK) return CP_FAILED;
        CP_LAUNCH(factorize_kernel, dim3(1), dim3(kFactorThreads), 0, device->stream, u, p.columns);
        CP_LAUNCH(invert_kernel, dim3(static_cast<unsigned>(ceil_div(p.columns, kThreads))),
                  dim3(kThreads), 0, device->stream, u, inverse, p.columns);
        if (check_launch(*device, op, error) != CP_OK ||
            gemm(*device, op, solve, gemm_workspace, error) != CP_OK) {
            return CP_FAILED;
        }
        CP_LAUNCH(replace_kernel, dim3(static_cast<unsigned>(p.columns)), dim3(kThreads), 0,
                  device->stream, u, to, p.rows, p.columns, pass);
        if (check_launch(*device, op, error) != CP_OK) return CP_FAILED;
        std::swap(from, to);
    }
    dispatch(q.dtype, [&](auto* type) {
        convert<float, std::remove_pointer_t<decltype(type)>>(*device, from, q.data,
                                                              p.rows * p.columns);
    });
    return check_launch(*device, op, error);
}

}  // namespace

const CpOp kCudaOrthonormalizeOp = {"orthonormalize", workspace_bytes, check_orthonormalize, run};

}  // namespace compact
