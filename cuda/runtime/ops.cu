#include "cuda/runtime/ops.h"

namespace compact {

#define COMPACT_ENTRY(Name) kCuda##Name##Op,
const CpOp kCudaOps[] = {COMPACT_OPS(COMPACT_ENTRY)};
#undef COMPACT_ENTRY
const int32_t kNumCudaOps = sizeof kCudaOps / sizeof kCudaOps[0];

}  // namespace compact
