// project: z = x P, with the entries of P made inside the product
// (native/cpu/projection/projection.h).
#include "native/backend/product_checks.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const CpTensor &x = call->inputs[0], &z = call->outputs[0];
    return gemm_workspace_bytes(x.shape[0], z.shape[1], x.shape[1], x.dtype, limits->threads);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& x = call->inputs[0];   // (tokens, in_features)
    const CpTensor& z = call->outputs[0];  // (tokens, rank)
    Gemm product;
    product.m = x.shape[0];
    product.n = z.shape[1];
    product.k = x.shape[1];
    product.dtype = x.dtype;
    product.a.data = x.data;
    product.a.stride = product.k;
    product.b.key = projection_key(*call);
    product.c = z.data;
    product.c_dtype = z.dtype;
    product.c_stride = product.n;
    product.alpha = projection_scale(product.b.key, product.n);
    gemm(*device, product, call->workspace);
    return CP_OK;
}

}  // namespace

const CpOp kProjectOp = {"project", workspace_bytes, check_project, run};

}  // namespace compact
