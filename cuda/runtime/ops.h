// The ops of the CUDA backend, one file each.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"
#include "native/base/op_table.h"

namespace compact {

#define COMPACT_DECLARE_OP(Name) extern const CpOp kCuda##Name##Op;
COMPACT_OPS(COMPACT_DECLARE_OP)
#undef COMPACT_DECLARE_OP

extern const CpOp kCudaOps[];
extern const int32_t kNumCudaOps;

inline int64_t no_workspace(const CpCall*, const CpLimits*) { return 0; }

}  // namespace compact
