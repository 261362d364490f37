// The ops of the CUDA backend, one file each.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"

#define COMPACT_CUDA_OPS(X)              \
    X(kCudaMatmulOp)                     \
    X(kCudaProjectOp)                    \
    X(kCudaProjectBackUpdateOp)          \
    X(kCudaProjectTransferOp)            \
    X(kCudaRandomNormalOp)               \
    X(kCudaEmbeddingOp)                  \
    X(kCudaEmbeddingBackwardOp)          \
    X(kCudaRmsNormOp)                    \
    X(kCudaAddRmsNormOp)                 \
    X(kCudaRmsNormBackwardOp)            \
    X(kCudaLayerNormOp)                  \
    X(kCudaLayerNormBackwardOp)          \
    X(kCudaRopeOp)                       \
    X(kCudaAttentionOp)                  \
    X(kCudaAttentionBackwardOp)          \
    X(kCudaSwigluOp)                     \
    X(kCudaSwigluBackwardOp)             \
    X(kCudaSiluOp)                       \
    X(kCudaSiluBackwardOp)               \
    X(kCudaGeluOp)                       \
    X(kCudaGeluBackwardOp)               \
    X(kCudaAddOp)                        \
    X(kCudaMultiplyOp)                   \
    X(kCudaScaleOp)                      \
    X(kCudaBiasOp)                       \
    X(kCudaColumnSumOp)                  \
    X(kCudaDropoutOp)                    \
    X(kCudaSelectRowOp)                  \
    X(kCudaLinearCrossEntropyOp)         \
    X(kCudaLinearCrossEntropyBackwardOp) \
    X(kCudaCrossEntropyOp)               \
    X(kCudaCrossEntropyBackwardOp)       \
    X(kCudaAdamDirectionOp)              \
    X(kCudaAdamWOp)                      \
    X(kCudaSgdOp)                        \
    X(kCudaSumOfSquaresOp)               \
    X(kCudaGradientNormOp)               \
    X(kCudaCastOp)                       \
    X(kCudaCopyOp)                       \
    X(kCudaFillOp)                       \
    X(kCudaQuantizeOp)                   \
    X(kCudaDequantizeOp)

namespace compact {

#define COMPACT_DECLARE_OP(name) extern const CpOp name;
COMPACT_CUDA_OPS(COMPACT_DECLARE_OP)
#undef COMPACT_DECLARE_OP

extern const CpOp kCudaOps[];
extern const int32_t kNumCudaOps;

inline int64_t no_workspace(const CpCall*, const CpLimits*) { return 0; }

}  // namespace compact
