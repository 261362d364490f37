// The ops of the CPU backend. Those of COMPACT_CPU_ISA_OPS exist once per instruction set, in the
// namespaces scalar, avx2 and avx512; those of COMPACT_CPU_OPS choose their kernels themselves.
#pragma once

#include "native/backend/backend.h"
#include "native/base/op_table.h"

// By families, as CMakeLists.txt compiles their folders.
#define COMPACT_CPU_OPS(X) \
    COMPACT_GEMM_OPS(X)    \
    COMPACT_PROJECTION_OPS(X)

#define COMPACT_CPU_ISA_OPS(X) \
    COMPACT_ATTENTION_OPS(X)   \
    COMPACT_LAYERS_OPS(X)      \
    COMPACT_ELEMENTWISE_OPS(X) \
    COMPACT_LOSSES_OPS(X)      \
    COMPACT_OPTIMIZERS_OPS(X)  \
    COMPACT_PLUMBING_OPS(X)    \
    COMPACT_QUANTIZATION_OPS(X)

namespace compact {

#define COMPACT_DECLARE_OP(Name) extern const CpOp k##Name##Op;

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
