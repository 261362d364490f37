// Decodes a plan from its bytes. Every read is bounds-checked; what cannot be decoded throws
// ERR_COMPACT_PLAN_INVALID. Whether the decoded plan makes sense is the matter of plan_check.h.
#pragma once

#include <cstdint>
#include <span>

#include "native/core/plan.h"

namespace compact {

Plan read_plan(std::span<const uint8_t> bytes);

}  // namespace compact
