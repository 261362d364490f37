// crossEntropy: lossScale * sum over rows of lse(logits) - logits[target], for logits that exist
// (classification); and the gradient of the logits.
#include "cuda/losses/softmax_loss.h"
#include "cuda/runtime/ops.h"

namespace compact {
namespace {

// The losses (tokens) of single tokens.
int64_t workspace_bytes(const CpCall* call, const CpLimits*) {
    return aligned(call->inputs[0].shape[0] * 8);
}

SoftmaxRows all_rows(CpDevice& device, const char* op, const CpCall& call) {
    const CpTensor& logits = call.inputs[0];
    SoftmaxRows rows;
    rows.logits = logits.data;
    rows.dtype = logits.dtype;
    rows.count = logits.shape[0];
    rows.classes = rows.stride = logits.shape[1];
    rows.targets = data<const int32_t>(call.inputs[1]);
    rows.ignore_index = static_cast<int64_t>(attribute(call, "ignoreIndex"));
    rows.losses = static_cast<double*>(call.workspace);
    rows.check = check_indices(device, op, "targets", rows.classes);
    return rows;
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "crossEntropy";
    const SoftmaxRows rows = all_rows(*device, op, *call);
    if (softmax_losses(*device, op, rows, error) != CP_OK) return CP_FAILED;
    return add_losses(*device, op, rows.losses, rows.count, attribute(*call, "lossScale"),
                      data<float>(call->outputs[0]), error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const char* op = "crossEntropyBackward";
    const SoftmaxRows rows = all_rows(*device, op, *call);
    const double loss_scale = attribute(*call, "lossScale");
    const SoftmaxGradient gradient{call->outputs[1].data, rows.dtype, rows.classes, false,
                                   static_cast<float>(loss_scale)};
    if (softmax_gradients(*device, op, rows, gradient, error) != CP_OK) return CP_FAILED;
    return add_losses(*device, op, rows.losses, rows.count, loss_scale,
                      data<float>(call->outputs[0]), error);
}

}  // namespace

const CpOp kCudaCrossEntropyOp = {"crossEntropy", workspace_bytes, nullptr, run_forward};
const CpOp kCudaCrossEntropyBackwardOp = {"crossEntropyBackward", workspace_bytes, nullptr,
                                          run_backward};

}  // namespace compact
