// project: z = x P. Phat is made in workspace, whole or a panel of its columns at a time, and
// multiplied from there; or the product makes it, where the GPU does that faster. The first panel
// can be made ahead, beside the instruction before.
#include <algorithm>
#include <utility>

#include "cuda/gemm/gemm.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/ops.h"
#include "native/backend/product_checks.h"

namespace compact {
namespace {

struct Problem {
    int64_t tokens, in_features, rank, columns;  // columns of a panel
    int32_t dtype;

    explicit Problem(const CpCall& call)
        : tokens(call.inputs[0].shape[0]),
          in_features(call.inputs[0].shape[1]),
          rank(call.outputs[0].shape[1]),
          columns(panel_columns(in_features, rank)),
          dtype(call.inputs[0].dtype) {}

    PhatPanel panel(int64_t column) const {
        return {0, in_features, column / 8, ceil_div(std::min(columns, rank - column), 8)};
    }
    int64_t panel_bytes() const { return aligned(panel(0).bytes()); }
    CudaGemmOperand x(const CpCall& call) const {
        return {call.inputs[0].data, dtype, in_features, false};
    }
    int64_t gemm_bytes(int64_t width) const {
        return gemm_workspace_bytes(tokens, width, in_features, dtype);
    }
};

// Workspace: the panel, then that of the product. For every GPU, also for those that leave it
// alone: a plan fits all of them.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    const int64_t first = std::min(p.columns, p.rank), last = (p.rank - 1) % p.columns + 1;
    return p.panel_bytes() + std::max(p.gemm_bytes(first), p.gemm_bytes(last));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const Problem p(*call);
    const CpTensor& z = call->outputs[0];
    const PhatKey key = phat_key(*call);
    auto* phat = static_cast<uint16_t*>(call->workspace);
    CudaGemm product;
    product.m = p.tokens;
    product.k = p.in_features;
    product.a = p.x(*call);
    product.c_dtype = z.dtype;
    product.c_stride = p.rank;
    product.alpha = phat_scale(key, p.rank);
    const bool in_kernel = phat_in_kernel(*device, key, product.a, p.in_features);
    bool is_made = false;
    if (join_prepared(*device, *call, "project", is_made, error) != CP_OK) return CP_FAILED;
    for (int64_t column = 0; column < p.rank; column += p.columns) {
        const PhatPanel panel = p.panel(column);
        product.n = std::min(p.columns, p.rank - column);
        const GeneratedPhat generated{key, panel};
        product.b = panel_operand(panel, phat, false, in_kernel ? &generated : nullptr);
        product.c = data<char>(z) + column * dtype_bytes(z.dtype);
        if (!in_kernel && !std::exchange(is_made, false) &&
            make_panel(*device, "project", key, panel, phat, error) != CP_OK) {
            return CP_FAILED;
        }
        if (gemm(*device, "project", product, static_cast<char*>(call->workspace) + p.panel_bytes(),
                 error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

CpStatus prepare(CpDevice* device, const CpCall* call, CpError* error) {
    const Problem p(*call);
    if (phat_in_kernel(*device, phat_key(*call), p.x(*call), p.in_features)) return CP_OK;
    return prepare_panel(*device, "project", *call, p.panel(0), error);
}

}  // namespace

const CpOp kCudaProjectOp = {"project", workspace_bytes, check_project, run, prepare};

}  // namespace compact
