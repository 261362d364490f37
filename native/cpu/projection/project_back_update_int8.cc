// projectBackUpdateInt8: projectBackUpdate of a weight in int8 groups.
//
// P direction would be as large as the weight in fp32, so it exists for a few rows at a time, as
// many as are whole groups. Each code is read and written once.
#include "native/backend/product_checks.h"
#include "native/base/int8_group.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/optimizers/int8_groups.h"
#include "native/cpu/runtime/ops.h"

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

    int64_t block_bytes() const { return (block * columns * 4 + 63) / 64 * 64; }
};

// Workspace: P direction (block, columns), that of the product.
int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return p.block_bytes() +
           gemm_workspace_bytes(p.block, p.columns, p.rank, p.dtype, limits->threads);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const Problem p(*call);
    const CpTensor& direction = call->inputs[2];  // (rank, out_features)
    const double learning_rate = attribute(*call, "learningRate");
    char* memory = static_cast<char*>(call->workspace);

    Gemm product;
    product.n = p.columns;
    product.k = p.rank;
    product.dtype = p.dtype;
    product.a.key = projection_key(*call);
    product.b.data = direction.data;
    product.b.stride = p.columns;
    product.c = memory;
    product.c_stride = p.columns;
    product.alpha = projection_scale(product.a.key, p.rank);

    Int8Step step;
    step.group_size = p.group_size;
    step.direction.data = memory;
    step.direction.dtype = CP_F32;
    step.keep = static_cast<float>(1.0 - learning_rate * attribute(*call, "weightDecay"));
    step.rate = static_cast<float>(learning_rate * attribute(*call, "updateScale"));
    step.key = {attribute_word(*call, "roundingSeed"), product.a.key.tensor_id,
                attribute_word(*call, "step")};

    for (int64_t row = 0; row < p.rows; row += p.block) {
        product.m = std::min(p.block, p.rows - row);
        product.a.first_row = row;
        gemm(*device, product, memory + p.block_bytes());
        step.first_group = row * p.columns / p.group_size;
        step.codes = static_cast<int8_t*>(call->outputs[0].data) + row * p.columns;
        step.scales = static_cast<float*>(call->outputs[1].data) + step.first_group;
        step.count = product.m * p.columns;
        update_int8_groups(*device, step);
    }
    return CP_OK;
}

}  // namespace

const CpOp kProjectBackUpdateInt8Op = {"projectBackUpdateInt8", workspace_bytes,
                                       check_project_back_update_int8, run};

}  // namespace compact
