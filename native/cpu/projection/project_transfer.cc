// projectTransfer: moment = P_new^T P_old moment, which carries a first moment over to the basis of
// a new epoch.
//
// P_old moment would be as large as the full gradient, so it exists for a few rows at a time.
#include <algorithm>
#include <cstring>

#include "native/backend/product_checks.h"
#include "native/base/bf16.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

constexpr int64_t kRows = 512;

struct Problem {
    int64_t rank, columns, rows, block;
    int32_t dtype;

    explicit Problem(const CpCall& call)
        : rank(call.inputs[0].shape[0]),
          columns(call.inputs[0].shape[1]),
          rows(static_cast<int64_t>(attribute(call, "rows"))),
          block(std::min(rows, kRows)),
          dtype(call.inputs[0].dtype) {}

    static int64_t f32_bytes(int64_t elements) { return (elements * 4 + 63) / 64 * 64; }
    int64_t moment_bytes() const { return f32_bytes(rank * columns); }
    int64_t block_bytes() const { return f32_bytes(block * columns); }
};

// Workspace: the new moment (rank, columns), P_old moment (block, columns), that of the products.
int64_t workspace_bytes(const CpCall* call, const CpLimits* limits) {
    const Problem p(*call);
    return p.moment_bytes() + p.block_bytes() +
           std::max(gemm_workspace_bytes(p.block, p.columns, p.rank, p.dtype, limits->threads),
                    gemm_workspace_bytes(p.rank, p.columns, p.block, CP_F32, limits->threads));
}

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const Problem p(*call);
    const CpTensor& moment = call->outputs[0];
    char* memory = static_cast<char*>(call->workspace);
    float* new_moment = reinterpret_cast<float*>(memory);
    float* full_space = reinterpret_cast<float*>(memory + p.moment_bytes());
    void* gemm_workspace = memory + p.moment_bytes() + p.block_bytes();

    Gemm back;  // full_space = P_old moment
    back.n = p.columns;
    back.k = p.rank;
    back.dtype = p.dtype;
    back.a.key = projection_key(*call, "oldEpoch");
    back.b.data = moment.data;
    back.b.stride = p.columns;
    back.c = full_space;
    back.c_stride = p.columns;
    back.alpha = projection_scale(back.a.key, p.rank);

    Gemm forth;  // new_moment += P_new^T full_space
    forth.m = p.rank;
    forth.n = p.columns;
    forth.a.key = projection_key(*call, "newEpoch");
    forth.a.transposed = true;
    forth.b.data = full_space;
    forth.b.stride = p.columns;
    forth.c = new_moment;
    forth.c_stride = p.columns;
    forth.alpha = projection_scale(forth.a.key, p.rank);

    for (int64_t row = 0; row < p.rows; row += p.block) {
        const int64_t rows = std::min(p.block, p.rows - row);
        back.m = forth.k = rows;
        back.a.first_row = forth.a.first_row = row;
        gemm(*device, back, gemm_workspace);
        forth.accumulate = row > 0;
        gemm(*device, forth, gemm_workspace);
    }
    const int64_t count = p.rank * p.columns;
    if (p.dtype == CP_F32) {
        std::memcpy(moment.data, new_moment, static_cast<size_t>(count) * sizeof(float));
    } else {
        uint16_t* target = static_cast<uint16_t*>(moment.data);
        for (int64_t i = 0; i < count; ++i) target[i] = bf16_from_float(new_moment[i]);
    }
    return CP_OK;
}

}  // namespace

const CpOp kProjectTransferOp = {"projectTransfer", workspace_bytes, check_project_transfer, run};

}  // namespace compact
