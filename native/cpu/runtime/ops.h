// The ops of the CPU backend. Those of COMPACT_CPU_ISA_OPS exist once per instruction set, in the
// namespaces scalar, avx2 and avx512; those of COMPACT_CPU_OPS choose their kernels themselves.
#pragma once

#include "native/backend/backend.h"

#define COMPACT_CPU_OPS(X)  \
    X(kMatmulOp)            \
    X(kProjectOp)           \
    X(kProjectBackUpdateOp) \
    X(kProjectTransferOp)   \
    X(kRandomNormalOp)

#define COMPACT_CPU_ISA_OPS(X)       \
    X(kEmbeddingOp)                  \
    X(kEmbeddingBackwardOp)          \
    X(kRmsNormOp)                    \
    X(kAddRmsNormOp)                 \
    X(kRmsNormBackwardOp)            \
    X(kLayerNormOp)                  \
    X(kLayerNormBackwardOp)          \
    X(kRopeOp)                       \
    X(kAttentionOp)                  \
    X(kAttentionBackwardOp)          \
    X(kSwigluOp)                     \
    X(kSwigluBackwardOp)             \
    X(kSiluOp)                       \
    X(kSiluBackwardOp)               \
    X(kGeluOp)                       \
    X(kGeluBackwardOp)               \
    X(kAddOp)                        \
    X(kMultiplyOp)                   \
    X(kScaleOp)                      \
    X(kBiasOp)                       \
    X(kColumnSumOp)                  \
    X(kDropoutOp)                    \
    X(kSelectRowOp)                  \
    X(kLinearCrossEntropyOp)         \
    X(kLinearCrossEntropyBackwardOp) \
    X(kCrossEntropyOp)               \
    X(kCrossEntropyBackwardOp)       \
    X(kAdamDirectionOp)              \
    X(kAdamWOp)                      \
    X(kSgdOp)                        \
    X(kSumOfSquaresOp)               \
    X(kGradientNormOp)               \
    X(kCastOp)                       \
    X(kCopyOp)                       \
    X(kFillOp)                       \
    X(kQuantizeOp)                   \
    X(kDequantizeOp)

namespace compact {

#define COMPACT_DECLARE_OP(name) extern const CpOp name;

namespace scalar {
COMPACT_CPU_ISA_OPS(COMPACT_DECLARE_OP)
}
#if defined(COMPACT_X86)
namespace avx2 {
COMPACT_CPU_ISA_OPS(COMPACT_DECLARE_OP)
}
namespace avx512 {
COMPACT_CPU_ISA_OPS(COMPACT_DECLARE_OP)
}
#endif

COMPACT_CPU_OPS(COMPACT_DECLARE_OP)

#undef COMPACT_DECLARE_OP

// All ops, each with a `run` for the instruction set of its device.
struct OpTable {
    const CpOp* ops;
    int32_t num_ops;
};
OpTable cpu_ops();

}  // namespace compact
