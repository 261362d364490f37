// matmulInt8, matmulNf4: c = a w, or a w^T, of a quantised w that is decoded while tiles are
// loaded. The bits of our own kernels for matmul with what dequantize or dequantizeNf4 makes in a's
// dtype.
#include "cuda/gemm/gemm.h"
#include "cuda/runtime/ops.h"
#include "native/backend/quantized_operands.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const QuantizedProductShape shape(*call);
    return gemm_workspace_bytes(shape.m, shape.n, shape.k, call->inputs[0].dtype);
}

CpStatus multiply(CpDevice& device, const char* op, const CpCall& call, const QuantizedMatrix& w,
                  CpError* error) {
    const CpTensor &a = call.inputs[0], &c = call.outputs[0];
    const QuantizedProductShape shape(call);
    CudaGemm product;
    product.m = shape.m;
    product.n = shape.n;
    product.k = shape.k;
    product.a = {a.data, a.dtype, shape.k, false};
    product.b.dtype = a.dtype;
    product.b.transposed = shape.transposed;
    product.b.quantized = w;
    product.c = c.data;
    product.c_dtype = c.dtype;
    product.c_stride = shape.n;
    return gemm(device, op, product, call.workspace, error);
}

CpStatus run_int8(CpDevice* device, const CpCall* call, CpError* error) {
    const QuantizedMatrix w = int8_matrix(*call, call->inputs[1], call->inputs[2]);
    return multiply(*device, "matmulInt8", *call, w, error);
}

CpStatus run_nf4(CpDevice* device, const CpCall* call, CpError* error) {
    const QuantizedMatrix w = nf4_matrix(call->inputs[1], call->inputs[2], call->inputs[3]);
    return multiply(*device, "matmulNf4", *call, w, error);
}

}  // namespace

const CpOp kCudaMatmulInt8Op = {"matmulInt8", workspace_bytes, check_matmul_int8, run_int8};
const CpOp kCudaMatmulNf4Op = {"matmulNf4", workspace_bytes, check_matmul_nf4, run_nf4};

}  // namespace compact
