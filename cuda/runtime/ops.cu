#include "cuda/runtime/ops.h"

namespace compact {

#define COMPACT_ENTRY(name) name,
const CpOp kCudaOps[] = {COMPACT_CUDA_OPS(COMPACT_ENTRY)};
#undef COMPACT_ENTRY
const int32_t kNumCudaOps = sizeof kCudaOps / sizeof kCudaOps[0];

}  // namespace compact
