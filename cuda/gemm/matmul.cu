// matmul: c = alpha * op(a) op(b), added to the accumulator when there is one to add to;
// squares[squaresIndex] = sum of c^2 where they are wanted.
#include "cuda/gemm/gemm.h"
#include "cuda/runtime/ops.h"
#include "native/backend/product_checks.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const MatmulShape shape(*call);
    const auto bytes =
        present(call->inputs[3]) ? gemm_squares_workspace_bytes : gemm_workspace_bytes;
    return bytes(shape.m, shape.n, shape.k, call->inputs[0].dtype);
}

CudaGemm product_of(const CpCall& call) {
    const CpTensor &a = call.inputs[0], &b = call.inputs[1], &c = call.outputs[0];
    const MatmulShape shape(call);
    CudaGemm product;
    product.m = shape.m;
    product.n = shape.n;
    product.k = shape.k;
    product.a = {a.data, a.dtype, a.shape[1], shape.transpose_a};
    product.b = {b.data, b.dtype, b.shape[1], shape.transpose_b};
    product.c = c.data;
    product.c_dtype = c.dtype;
    product.c_stride = shape.n;
    product.alpha = static_cast<float>(attribute(call, "alpha"));
    product.accumulate = attribute(call, "accumulate") != 0.0 && present(call.inputs[2]);
    product.squares = squares_of_matmul(call);
    return product;
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    return gemm(*device, "matmul", product_of(*call), call->workspace, error);
}

CpStatus run_group(CpDevice* device, const CpCall* calls, int32_t count, CpError* error) {
    GemmGroup group;
    for (int32_t i = 0; i < count; ++i) group.add(product_of(calls[i]), calls[i].workspace);
    return gemm_group(*device, "matmul", group, error);
}

}  // namespace

const CpOp kCudaMatmulOp = {"matmul", workspace_bytes, check_matmul, run, nullptr, run_group};

}  // namespace compact
