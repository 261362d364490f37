// projectBackUpdate: w = w (1 - learningRate weightDecay) - learningRate updateScale (P direction).
//
// Phat is made in workspace, whole or a panel of its rows at a time, and multiplied from there; or
// the product makes it, where the GPU does that faster. The first panel can be made ahead, beside
// the instruction before. Each weight is read and written once, where its sum is done. Weights with
// the same P are updated together: a panel is made once.
#include <algorithm>
#include <utility>

#include "cuda/gemm/gemm.h"
#include "cuda/projection/projection.h"
#include "cuda/runtime/ops.h"
#include "native/backend/product_checks.h"

namespace compact {
namespace {

struct Problem {
    int64_t in_features, out_features, rank, rows;  // rows of a panel
    int32_t dtype;

    explicit Problem(const CpCall& call)
        : in_features(call.inputs[0].shape[0]),
          out_features(call.inputs[0].shape[1]),
          rank(call.inputs[1].shape[0]),
          rows(panel_rows(in_features, rank)),
          dtype(call.inputs[1].dtype) {}

    PhatPanel panel(int64_t row) const {
        return {row, std::min(rows, in_features - row), 0, ceil_div(rank, 8)};
    }
    int64_t panel_bytes() const { return aligned(panel(0).bytes()); }
    CudaGemmOperand direction(const CpCall& call) const {
        return {call.inputs[1].data, dtype, out_features, false};
    }
    int64_t gemm_bytes(int64_t count) const {
        return gemm_workspace_bytes(count, out_features, rank, dtype);
    }
};

// Workspace: the panel, then that of the product. For every GPU, as in project.cu.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    const Problem p(*call);
    const int64_t last = (p.in_features - 1) % p.rows + 1;
    return p.panel_bytes() + std::max(p.gemm_bytes(p.rows), p.gemm_bytes(last));
}

WeightUpdate update_of(const CpCall& call, const PhatKey& key) {
    const double learning_rate = attribute(call, "learningRate");
    WeightUpdate update;
    update.keep = static_cast<float>(1.0 - learning_rate * attribute(call, "weightDecay"));
    update.step_size = static_cast<float>(learning_rate * attribute(call, "updateScale") *
                                          phat_scale(key, Problem(call).rank));
    update.stochastic_rounding = attribute(call, "stochasticRounding") != 0.0;
    update.key = {attribute_word(call, "roundingSeed"), key.tensor_id,
                  attribute_word(call, "step")};
    return update;
}

// Calls with the same P. Its panels are made in the workspace of the first.
CpStatus update_all(CpDevice& device, const CpCall* calls, int32_t count, CpError* error) {
    const char* op = "projectBackUpdate";
    const PhatKey key = phat_key(calls[0]);
    auto* phat = static_cast<uint16_t*>(calls[0].workspace);
    const Problem first(calls[0]);
    bool is_made = false;
    if (join_prepared(device, calls[0], op, is_made, error) != CP_OK) return CP_FAILED;
    for (int64_t row = 0; row < first.in_features; row += first.rows) {
        const PhatPanel panel = first.panel(row);
        const GeneratedPhat generated{key, panel};
        WeightUpdate updates[CP_MAX_GROUP];
        GemmGroup group;
        bool needs_panel = false;
        for (int32_t i = 0; i < count; ++i) {
            const CpCall& call = calls[i];
            const CpTensor& weight = call.outputs[0];
            const Problem p(call);
            updates[i] = update_of(call, key);
            updates[i].first_row = row;
            CudaGemm product;
            product.m = panel.rows;
            product.n = p.out_features;
            product.k = p.rank;
            product.b = p.direction(call);
            const bool in_kernel = phat_in_kernel(device, key, product.b, p.out_features);
            needs_panel = needs_panel || !in_kernel;
            product.a = panel_operand(panel, phat, false, in_kernel ? &generated : nullptr);
            product.c = data<char>(weight) + row * p.out_features * dtype_bytes(weight.dtype);
            product.c_dtype = weight.dtype;
            product.c_stride = p.out_features;
            product.update = &updates[i];
            group.add(product, static_cast<char*>(call.workspace) + p.panel_bytes());
        }
        if (needs_panel && !std::exchange(is_made, false) &&
            make_panel(device, op, key, panel, phat, error) != CP_OK) {
            return CP_FAILED;
        }
        if (gemm_group(device, op, group, error) != CP_OK) return CP_FAILED;
    }
    return CP_OK;
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    return update_all(*device, call, 1, error);
}

bool share_projection(const CpCall& a, const CpCall& b) {
    const Problem p(a), q(b);
    return phat_key(a) == phat_key(b) && p.in_features == q.in_features && p.rank == q.rank;
}

CpStatus run_group(CpDevice* device, const CpCall* calls, int32_t count, CpError* error) {
    for (int32_t first = 0, end = 0; first < count; first = end) {
        while (end < count && share_projection(calls[first], calls[end])) ++end;
        if (update_all(*device, calls + first, end - first, error) != CP_OK) return CP_FAILED;
    }
    return CP_OK;
}

CpStatus prepare(CpDevice* device, const CpCall* call, CpError* error) {
    const Problem p(*call);
    if (phat_in_kernel(*device, phat_key(*call), p.direction(*call), p.out_features)) return CP_OK;
    return prepare_panel(*device, "projectBackUpdate", *call, p.panel(0), error);
}

}  // namespace

const CpOp kCudaProjectBackUpdateOp = {
    "projectBackUpdate", workspace_bytes, check_project_back_update, run, prepare, run_group};

}  // namespace compact
