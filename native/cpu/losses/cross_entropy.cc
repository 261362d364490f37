// crossEntropy: lossScale * sum over rows of lse(logits) - logits[target], for logits that exist
// (classification); and the gradient of the logits.
#include "native/cpu/losses/softmax_loss.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

int64_t losses_bytes(const CpCall* call) {
    return aligned(call->inputs[0].shape[0] * static_cast<int64_t>(sizeof(double)));
}

int64_t forward_workspace_bytes(const CpCall* call, const CpLimits*) { return losses_bytes(call); }

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t classes = input.shape[1];
    const Targets targets(*call, call->inputs[1], classes);
    if (targets.check("crossEntropy", error) != CP_OK) return CP_FAILED;
    double* losses = static_cast<double*>(call->workspace);  // (tokens)
    with_dtype(input.dtype, [&](auto type) {
        const auto* logits = data<decltype(type)>(input);  // (tokens, classes)
        for_chunks(*device, targets.tokens, rows_per_chunk(classes),
                   [=](int64_t begin, int64_t end, int) {
                       for (int64_t token = begin; token < end; ++token) {
                           float total;
                           losses[token] = targets.ignored(token)
                                               ? 0.0
                                               : row_loss(logits + token * classes, classes,
                                                          targets.ids[token], nullptr, &total);
                       }
                   });
    });
    *data<float>(call->outputs[0]) =
        total_loss(losses, targets.tokens, attribute(*call, "lossScale"));
    return CP_OK;
}

// Workspace of the gradient: the losses, then one row of exponentials per thread.
int64_t backward_workspace_bytes(const CpCall* call, const CpLimits* limits) {
    return losses_bytes(call) + limits->threads * aligned(call->inputs[0].shape[1] * 4);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t classes = input.shape[1];
    const Targets targets(*call, call->inputs[1], classes);
    if (targets.check("crossEntropyBackward", error) != CP_OK) return CP_FAILED;
    const double loss_scale = attribute(*call, "lossScale");
    double* losses = static_cast<double*>(call->workspace);  // (tokens)
    char* rows = static_cast<char*>(call->workspace) + losses_bytes(call);
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* logits = data<T>(input);         // (tokens, classes)
        T* d_logits = data<T>(call->outputs[1]);  // (tokens, classes)
        for_chunks(*device, targets.tokens, rows_per_chunk(classes),
                   [=](int64_t begin, int64_t end, int thread) {
                       float* exponentials =
                           reinterpret_cast<float*>(rows + thread * aligned(classes * 4));
                       for (int64_t token = begin; token < end; ++token) {
                           T* gradient = d_logits + token * classes;
                           losses[token] = 0.0;
                           if (targets.ignored(token)) {
                               zero_row(gradient, classes);
                               continue;
                           }
                           const int64_t target = targets.ids[token];
                           float total;
                           losses[token] = row_loss(logits + token * classes, classes, target,
                                                    exponentials, &total);
                           row_gradient(exponentials, total, classes, target,
                                        static_cast<float>(loss_scale), gradient);
                       }
                   });
    });
    *data<float>(call->outputs[0]) = total_loss(losses, targets.tokens, loss_scale);
    return CP_OK;
}

}  // namespace

const CpOp kCrossEntropyOp = {"crossEntropy", forward_workspace_bytes, nullptr, run_forward};
const CpOp kCrossEntropyBackwardOp = {"crossEntropyBackward", backward_workspace_bytes, nullptr,
                                      run_backward};

}  // namespace compact::COMPACT_ISA
