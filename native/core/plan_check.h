// Checks that a decoded plan may run: everything that could corrupt memory, and every rule of the
// op signatures. Finds the kernel of each instruction.
//
// Throws ERR_COMPACT_PLAN_DEVICE (made for another device), ERR_COMPACT_OP_UNSUPPORTED (the backend
// has no such op) or ERR_COMPACT_PLAN_INVALID, with entry, layer and op.
#pragma once

#include "native/core/plan.h"

namespace compact {

void check_plan(Plan& plan, const CpBackend& backend, const CpLimits& limits);

// The call of a checked instruction with the regions at the given addresses. `scalars` are in slot
// order; without them attributes that name a scalar are 0.
CpCall make_call(const Plan& plan, const Instruction& instruction, void* persistent, void* arena,
                 const double* scalars);

const CpOp* find_op(const CpBackend& backend, const std::string& name);

}  // namespace compact
