// A plan as the engine holds it: docs/plan-format.md, decoded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "native/backend/backend.h"

namespace compact {

struct Signature;

enum class Region : uint8_t { kPersistent = 0, kArena = 1 };

struct PlanValue {
    std::string name;
    std::string layer;
    int32_t dtype = CP_F32;
    Region region = Region::kArena;
    bool is_rows = false;  // it has no place of its own, but is rows of a persistent value
    int32_t num_dims = 0;
    int64_t shape[CP_MAX_DIMS] = {};
    int64_t offset = 0;  // bytes from the start of the region
    int64_t bytes = 0;
};

struct PlanAttribute {
    std::string name;
    int32_t scalar_slot = -1;  // >= 0: the value is that runtime scalar
    double value = 0.0;
};

struct Instruction {
    std::string op;
    std::string layer;
    std::vector<int32_t> inputs;  // value ids, -1 for an absent optional input
    std::vector<int32_t> outputs;
    std::vector<PlanAttribute> attributes;
    int64_t workspace_offset = 0;  // bytes from the start of the arena
    int64_t workspace_bytes = 0;
    // The kernel prepares its workspace beside the instruction before this one.
    bool prepared_ahead = false;
    bool joins_previous = false;  // may run at the same time as the instruction before it
    // Set by check_plan.
    const Signature* signature = nullptr;
    const CpOp* kernel = nullptr;
};

struct PlanEntry {
    std::string name;
    std::vector<int32_t> inputs;
    std::vector<int32_t> outputs;
    std::vector<Instruction> instructions;

    // The group that begins at an instruction: it and all that join it.
    std::span<const Instruction> group(size_t first) const {
        size_t end = first + 1;
        while (end < instructions.size() && instructions[end].joins_previous) ++end;
        return std::span(instructions).subspan(first, end - first);
    }
};

struct Plan {
    std::string device;
    int64_t persistent_bytes = 0;
    int64_t arena_bytes = 0;
    std::vector<std::string> scalars;
    std::vector<PlanValue> values;
    std::vector<PlanEntry> entries;
};

}  // namespace compact
