// Softmax cross-entropy of rows of logits, for both losses.
//
//   loss = lse(logits) - logits[target],  dLogits = (softmax(logits) - onehot(target)) scale
#pragma once

#include <cstdint>

#include "cuda/runtime/device.h"
#include "cuda/simt/soft_cap.cuh"

namespace compact {

// Rows [first_token, first_token + count) of the logits of all tokens.
struct SoftmaxRows {
    const void* logits = nullptr;  // (count, classes)
    int32_t dtype = CP_F32;
    int64_t first_token = 0, count = 0, classes = 0;
    int64_t stride = 0;                // elements from one row of logits to the next
    int64_t first_class = 0;           // where the logits are those of some classes alone
    const int32_t* targets = nullptr;  // (tokens)
    int64_t ignore_index = 0;
    SoftCap soft_cap{};        // of logits
    double* losses = nullptr;  // (tokens)
    float* lse = nullptr;      // (tokens) log-sum-exp over all classes; may be absent
    IndexCheck check{};
};

// Where the gradients of the rows go; their memory may begin where that of the logits does.
struct SoftmaxGradient {
    void* data = nullptr;  // (count, classes), rows `stride` elements apart
    int32_t dtype = CP_F32;
    int64_t stride = 0;
    bool padded = false;  // rows go on with zeros to a multiple of eight
    float scale = 1.0f;
};

// Factors of the gradients of sequences, one behind the other from the first token on.
struct SequenceScales {
    const float* values = nullptr;  // (sequences); absent: all are 1
    int64_t length = 1;             // tokens of a sequence
};

// A row whose target is ignored, or bad, has loss 0, log-sum-exp 0 and gradient 0.
CpStatus softmax_losses(CpDevice& device, const char* op, const SoftmaxRows& rows, CpError* error);
CpStatus softmax_gradients(CpDevice& device, const char* op, const SoftmaxRows& rows,
                           const SoftmaxGradient& gradient, CpError* error);
// The gradients of fp32 logits of some classes, from the log-sum-exp of all; no losses.
CpStatus softmax_gradients_from_lse(CpDevice& device, const char* op, const SoftmaxRows& rows,
                                    const SoftmaxGradient& gradient, const SequenceScales& scales,
                                    CpError* error);

// loss (1) = lossScale times the losses of all tokens, in a fixed order.
CpStatus add_losses(CpDevice& device, const char* op, const double* losses, int64_t tokens,
                    double loss_scale, float* loss, CpError* error);

// sums (sequences) = scale times the losses of the `length` tokens of each sequence, in a fixed
// order.
CpStatus add_losses_of_sequences(CpDevice& device, const char* op, const double* losses,
                                 int64_t sequences, int64_t length, double scale, float* sums,
                                 CpError* error);

}  // namespace compact
