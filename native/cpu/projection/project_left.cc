// projectLeft: z = P^T x, with the entries of P made inside the product
// (native/cpu/projection/projection.h).
#include "native/backend/product_checks.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const CpTensor &x = call->inputs[0], &z = call->outputs[0];
    return gemm_workspace_bytes(z.shape[0], z.shape[1], x.shape[0], x.dtype, limits->threads);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& x = call->inputs[0];   // (rows, columns)
    const CpTensor& z = call->outputs[0];  // (rank, columns)
    Gemm product;
    product.m = z.shape[0];
    product.n = z.shape[1];
    product.k = x.shape[0];
    product.dtype = x.dtype;
    product.a.key = projection_key(*call);
    product.a.transposed = true;
    product.b.data = x.data;
    product.b.stride = product.n;
    product.c = z.data;
    product.c_dtype = z.dtype;
    product.c_stride = product.n;
    product.alpha = projection_scale(product.a.key, product.m);
    gemm(*device, product, call->workspace);
    return CP_OK;
}

}  // namespace

const CpOp kProjectLeftOp = {"projectLeft", workspace_bytes, check_project_left, run};

}  // namespace compact
