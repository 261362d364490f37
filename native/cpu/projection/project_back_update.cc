// projectBackUpdate: w = w (1 - learningRate weightDecay) - learningRate updateScale (P direction).
//
// One product with P made on the way; each weight is read and written once, when its tile is done.
#include "native/backend/product_checks.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const CpTensor &weight = call->inputs[0], &direction = call->inputs[1];
    return gemm_workspace_bytes(weight.shape[0], weight.shape[1], direction.shape[0],
                                direction.dtype, limits->threads);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& weight = call->outputs[0];    // (in_features, out_features)
    const CpTensor& direction = call->inputs[1];  // (rank, out_features)
    const double learning_rate = attribute(*call, "learningRate");
    Gemm product;
    product.m = weight.shape[0];
    product.n = weight.shape[1];
    product.k = direction.shape[0];
    product.dtype = direction.dtype;
    product.a.key = projection_key(*call);
    product.b.data = direction.data;
    product.b.stride = product.n;
    product.c = weight.data;
    product.c_dtype = weight.dtype;
    product.c_stride = product.n;
    product.alpha = static_cast<float>(-learning_rate * attribute(*call, "updateScale") *
                                       projection_scale(product.a.key, product.k));
    product.accumulate = true;
    product.beta = static_cast<float>(1.0 - learning_rate * attribute(*call, "weightDecay"));
    const RoundingKey rounding = {attribute_word(*call, "roundingSeed"), product.a.key.tensor_id,
                                  attribute_word(*call, "step")};
    if (attribute(*call, "stochasticRounding") != 0.0) product.rounding = &rounding;
    gemm(*device, product, call->workspace);
    return CP_OK;
}

}  // namespace

const CpOp kProjectBackUpdateOp = {"projectBackUpdate", workspace_bytes, check_project_back_update,
                                   run};

}  // namespace compact
