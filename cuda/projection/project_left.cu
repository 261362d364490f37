// projectLeft: z = P^T x. Phat is made in workspace, whole or a panel of its columns at a time, and
// multiplied from there.
#include <algorithm>

#include "cuda/gemm/gemm.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/ops.h"
#include "native/backend/product_checks.h"

namespace compact {
namespace {

struct Problem {
    int64_t rows, out_columns, rank, columns;  // columns of a panel
    int32_t dtype;

    explicit Problem(const CpCall& call)
        : rows(call.inputs[0].shape[0]),
          out_columns(call.inputs[0].shape[1]),
          rank(call.outputs[0].shape[0]),
          columns(panel_columns(rows, rank)),
          dtype(call.inputs[0].dtype) {}

    PhatPanel panel(int64_t column) const {
        return {0, rows, column / 8, ceil_div(std::min(columns, rank - column), 8)};
    }
    int64_t panel_bytes() const { return aligned(panel(0).bytes()); }
    int64_t gemm_bytes(int64_t count) const {
        return gemm_workspace_bytes(count, out_columns, rows, dtype);
    }
};

// Workspace: the panel, then that of the product.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    const int64_t first = std::min(p.columns, p.rank), last = (p.rank - 1) % p.columns + 1;
    return p.panel_bytes() + std::max(p.gemm_bytes(first), p.gemm_bytes(last));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "projectLeft";
    const Problem p(*call);
    const CpTensor& z = call->outputs[0];  // (rank, out_columns)
    const PhatKey key = phat_key(*call);
    auto* phat = static_cast<uint16_t*>(call->workspace);
    CudaGemm product;
    product.n = p.out_columns;
    product.k = p.rows;
    product.b = {call->inputs[0].data, p.dtype, p.out_columns, false};
    product.c_dtype = z.dtype;
    product.c_stride = p.out_columns;
    product.alpha = phat_scale(key, p.rank);
    for (int64_t column = 0; column < p.rank; column += p.columns) {
        const PhatPanel panel = p.panel(column);
        product.m = std::min(p.columns, p.rank - column);
        product.a = panel_operand(panel, phat, true);
        product.c = data<char>(z) + column * p.out_columns * dtype_bytes(z.dtype);
        if (make_panel(*device, op, key, panel, phat, error) != CP_OK ||
            gemm(*device, op, product, static_cast<char*>(call->workspace) + p.panel_bytes(),
                 error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

}  // namespace

const CpOp kCudaProjectLeftOp = {"projectLeft", workspace_bytes, check_project_left, run};

}  // namespace compact
