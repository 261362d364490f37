// projectTransfer: moment = P_new^T P_old moment, which carries a first moment over to the basis of
// a new epoch.
//
// P_old moment would be as large as the full gradient, so it exists for a few rows at a time. Runs
// once in many steps: its products are those of CUDA cores, in fp32.
#include <algorithm>

#include "cuda/gemm/gemm.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/product_checks.h"

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

    PhatPanel panel(int64_t row) const {
        return {row, std::min(block, rows - row), 0, ceil_div(rank, 8)};
    }
    int64_t moment_bytes() const { return aligned(rank * columns * 4); }
    int64_t block_bytes() const { return aligned(block * columns * 4); }
    int64_t panel_bytes() const { return aligned(panel(0).bytes()); }
    int64_t gemm_bytes(int64_t count) const {
        return std::max(gemm_workspace_bytes(count, columns, rank, dtype),
                        gemm_workspace_bytes(rank, columns, count, dtype));
    }
};

// Workspace: the new moment (rank, columns), P_old moment (block, columns), the panel, that of the
// products.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    const int64_t last = (p.rows - 1) % p.block + 1;
    return p.moment_bytes() + p.block_bytes() + p.panel_bytes() +
           std::max(p.gemm_bytes(p.block), p.gemm_bytes(last));
}

struct Same {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0];
    }
};

// moment = new_moment, in the dtype of the moment
CpStatus store_moment(CpDevice& device, const char* op, const CpTensor& moment, float* new_moment,
                      CpError* error) {
    CpCall cast{};
    cast.inputs[0] = moment;
    cast.inputs[0].data = new_moment;
    cast.outputs[0] = moment;
    CpStatus status = CP_OK;
    dispatch(moment.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        status = elementwise<float, T, 1, 1>(device, op, cast, Same{}, error);
    });
    return status;
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "projectTransfer";
    const Problem p(*call);
    const CpTensor& moment = call->outputs[0];
    const PhatKey old_key = phat_key(*call, "oldEpoch"), new_key = phat_key(*call, "newEpoch");
    char* memory = static_cast<char*>(call->workspace);
    auto* new_moment = reinterpret_cast<float*>(memory);
    auto* full_space = reinterpret_cast<float*>(memory + p.moment_bytes());
    auto* phat = reinterpret_cast<uint16_t*>(memory + p.moment_bytes() + p.block_bytes());
    void* gemm_workspace = memory + p.moment_bytes() + p.block_bytes() + p.panel_bytes();

    CudaGemm back;  // full_space = P_old moment
    back.n = p.columns;
    back.k = p.rank;
    back.b = {moment.data, moment.dtype, p.columns, false};
    back.c = full_space;
    back.c_stride = p.columns;
    back.alpha = phat_scale(old_key, p.rank);

    CudaGemm forth;  // new_moment += P_new^T full_space
    forth.m = p.rank;
    forth.n = p.columns;
    forth.b = {full_space, CP_F32, p.columns, false};
    forth.c = new_moment;
    forth.c_stride = p.columns;
    forth.alpha = phat_scale(new_key, p.rank);

    for (int64_t row = 0; row < p.rows; row += p.block) {
        const PhatPanel panel = p.panel(row);
        back.m = forth.k = panel.rows;
        back.a = panel_operand(panel, phat, false);
        forth.a = panel_operand(panel, phat, true);
        forth.accumulate = row > 0;
        if (make_panel(*device, op, old_key, panel, phat, error) != CP_OK ||
            gemm(*device, op, back, gemm_workspace, error) != CP_OK ||
            make_panel(*device, op, new_key, panel, phat, error) != CP_OK ||
            gemm(*device, op, forth, gemm_workspace, error) != CP_OK) {
            return CP_FAILED;
        }
    }
    return store_moment(*device, op, moment, new_moment, error);
}

}  // namespace

const CpOp kCudaProjectTransferOp = {"projectTransfer", workspace_bytes, check_project_transfer,
                                     run};

}  // namespace compact
