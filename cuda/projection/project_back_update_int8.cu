// projectBackUpdateInt8: projectBackUpdate of a weight in int8 groups.
//
// P direction would be as large as the weight in fp32, so it exists for a few rows at a time, as
// many as are whole groups, and is read again from the L2 cache. Each code is read and written
// once.
#include <algorithm>

#include "cuda/gemm/gemm.h"
#include "cuda/optimizers/int8_groups.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/ops.h"
#include "native/backend/product_checks.h"
#include "native/base/int8_group.h"

namespace compact {
namespace {

constexpr int64_t kRows = 256;

struct Problem {
    int64_t rows, columns, rank, group_size, block;
    int32_t dtype;

    explicit Problem(const CpCall& call)
        : rows(call.inputs[0].shape[0]),
          columns(call.inputs[0].shape[1]),
          rank(call.inputs[2].shape[0]),
          group_size(static_cast<int64_t>(attribute(call, "groupSize"))),
          block(whole_group_rows(rows, columns, group_size, kRows)),
          dtype(call.inputs[2].dtype) {}

    PhatPanel panel(int64_t row) const {
        return {row, std::min(block, rows - row), 0, ceil_div(rank, 8)};
    }
    int64_t block_bytes() const { return aligned(block * columns * 4); }
    int64_t panel_bytes() const { return aligned(panel(0).bytes()); }
    int64_t gemm_bytes(int64_t count) const {
        return gemm_workspace_bytes(count, columns, rank, dtype);
    }
};

// Workspace: P direction (block, columns), the panel of P, that of the product.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    const int64_t last = (p.rows - 1) % p.block + 1;
    return p.block_bytes() + p.panel_bytes() + std::max(p.gemm_bytes(p.block), p.gemm_bytes(last));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "projectBackUpdateInt8";
    const Problem p(*call);
    const PhatKey key = phat_key(*call);
    const double learning_rate = attribute(*call, "learningRate");
    char* memory = static_cast<char*>(call->workspace);
    auto* phat = reinterpret_cast<uint16_t*>(memory + p.block_bytes());

    CudaGemm product;
    product.n = p.columns;
    product.k = p.rank;
    product.b = {call->inputs[2].data, p.dtype, p.columns, false};
    product.c = memory;
    product.c_stride = p.columns;
    product.alpha = phat_scale(key, p.rank);

    Int8Step step;
    step.group_size = p.group_size;
    step.direction = memory;
    step.keep = static_cast<float>(1.0 - learning_rate * attribute(*call, "weightDecay"));
    step.rate = static_cast<float>(learning_rate * attribute(*call, "updateScale"));
    step.key = {attribute_word(*call, "roundingSeed"), key.tensor_id,
                attribute_word(*call, "step")};

    for (int64_t row = 0; row < p.rows; row += p.block) {
        const PhatPanel panel = p.panel(row);
        product.m = panel.rows;
        product.a = panel_operand(panel, phat, false);
        step.first_group = row * p.columns / p.group_size;
        step.codes = data<int8_t>(call->outputs[0]) + row * p.columns;
        step.scales = data<float>(call->outputs[1]) + step.first_group;
        step.count = panel.rows * p.columns;
        if (make_panel(*device, op, key, panel, phat, error) != CP_OK ||
            gemm(*device, op, product, memory + p.block_bytes() + p.panel_bytes(), error) !=
                CP_OK ||
            update_int8_groups(*device, op, step, error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return CP_OK;
}

}  // namespace

const CpOp kCudaProjectBackUpdateInt8Op = {"projectBackUpdateInt8", workspace_bytes,
                                           check_project_back_update_int8, run};

}  // namespace compact
