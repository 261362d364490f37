// matmulInt8, matmulNf4: c = a w, or a w^T, of a quantised w that is decoded while its
// panels are packed. The bits of matmul with what dequantize or dequantizeNf4 makes in a's dtype.
#include "native/backend/quantized_operands.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const QuantizedProductShape shape(*call);
    return gemm_workspace_bytes(shape.m, shape.n, shape.k, call->inputs[0].dtype, limits->threads);
}

CpStatus multiply(CpDevice& device, const CpCall& call, const QuantizedMatrix& w) {
    const CpTensor &a = call.inputs[0], &c = call.outputs[0];
    const QuantizedProductShape shape(call);
    Gemm product;
    product.m = shape.m;
    product.n = shape.n;
    product.k = shape.k;
    product.dtype = a.dtype;
    product.a.data = a.data;
    product.a.stride = shape.k;
    product.b.quantized = w;
    product.b.transposed = shape.transposed;
    product.c = c.data;
    product.c_dtype = c.dtype;
    product.c_stride = shape.n;
    gemm(device, product, call.workspace);
    return CP_OK;
}

CpStatus run_int8(CpDevice* device, const CpCall* call, CpError*) {
    return multiply(*device, *call, int8_matrix(*call, call->inputs[1], call->inputs[2]));
}

CpStatus run_nf4(CpDevice* device, const CpCall* call, CpError*) {
    return multiply(*device, *call, nf4_matrix(call->inputs[1], call->inputs[2], call->inputs[3]));
}

}  // namespace

const CpOp kMatmulInt8Op = {"matmulInt8", workspace_bytes, check_matmul_int8, run_int8};
const CpOp kMatmulNf4Op = {"matmulNf4", workspace_bytes, check_matmul_nf4, run_nf4};

}  // namespace compact
