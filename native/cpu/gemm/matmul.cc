// matmul: c = alpha * op(a) op(b), added to the accumulator when there is one to add to;
// squares[squaresIndex] = sum of c^2 where they are wanted.
#include "native/backend/product_checks.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const MatmulShape shape(*call);
    const int64_t squares =
        present(call->inputs[3]) ? gemm_squares_bytes(shape.m, shape.n) : int64_t{0};
    return squares +
           gemm_workspace_bytes(shape.m, shape.n, shape.k, call->inputs[0].dtype, limits->threads);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor &a = call->inputs[0], &b = call->inputs[1], &c = call->outputs[0];
    const MatmulShape shape(*call);
    Gemm product;
    product.m = shape.m;
    product.n = shape.n;
    product.k = shape.k;
    product.dtype = a.dtype;
    product.a.data = a.data;
    product.a.stride = a.shape[1];
    product.a.transposed = shape.transpose_a;
    product.b.data = b.data;
    product.b.stride = b.shape[1];
    product.b.transposed = shape.transpose_b;
    product.c = c.data;
    product.c_dtype = c.dtype;
    product.c_stride = shape.n;
    product.alpha = static_cast<float>(attribute(*call, "alpha"));
    product.accumulate = attribute(*call, "accumulate") != 0.0 && present(call->inputs[2]);
    product.squares = squares_of_matmul(*call);
    gemm(*device, product, call->workspace);
    return CP_OK;
}

}  // namespace

const CpOp kMatmulOp = {"matmul", workspace_bytes, check_matmul, run};

}  // namespace compact
