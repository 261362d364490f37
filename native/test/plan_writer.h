// Encodes plans as docs/plan-format.md says, for tests: an encoder apart from the package's own.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "native/core/plan.h"

namespace compact::test {

class PlanWriter {
  public:
    static std::vector<uint8_t> encode(const Plan& plan) {
        PlanWriter out;
        out.text("CPTPLAN");
        out.integer(0, 1);
        out.integer(4, 4);
        out.string(plan.device);
        out.size(plan.persistent_bytes);
        out.size(plan.arena_bytes);
        out.count(plan.scalars.size());
        for (const std::string& scalar : plan.scalars) out.string(scalar);
        out.count(plan.values.size());
        for (const PlanValue& value : plan.values) out.value(value);
        out.count(plan.entries.size());
        for (const PlanEntry& entry : plan.entries) out.entry(entry);
        out.text("END");
        out.integer(0, 1);
        return out.bytes_;
    }

  private:
    void integer(uint64_t value, int num_bytes) {
        for (int i = 0; i < num_bytes; ++i)
            bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    }
    void size(int64_t value) { integer(static_cast<uint64_t>(value), 8); }
    void count(size_t value) { integer(value, 4); }
    void text(const std::string& text) { bytes_.insert(bytes_.end(), text.begin(), text.end()); }
    void string(const std::string& value) {
        count(value.size());
        text(value);
    }
    void ids(const std::vector<int32_t>& ids) {
        count(ids.size());
        for (const int32_t id : ids) integer(static_cast<uint32_t>(id), 4);
    }
    void value(const PlanValue& value) {
        string(value.name);
        string(value.layer);
        integer(static_cast<uint64_t>(value.dtype), 1);
        integer(value.is_rows ? 2 : static_cast<uint64_t>(value.region), 1);
        integer(static_cast<uint64_t>(value.num_dims), 1);
        for (int32_t i = 0; i < value.num_dims; ++i) size(i < CP_MAX_DIMS ? value.shape[i] : 1);
        size(value.offset);
        size(value.bytes);
    }
    void entry(const PlanEntry& entry) {
        string(entry.name);
        ids(entry.inputs);
        ids(entry.outputs);
        count(entry.instructions.size());
        for (const Instruction& instruction : entry.instructions) {
            string(instruction.op);
            string(instruction.layer);
            ids(instruction.inputs);
            ids(instruction.outputs);
            count(instruction.attributes.size());
            for (const PlanAttribute& attribute : instruction.attributes) {
                string(attribute.name);
                integer(static_cast<uint32_t>(attribute.scalar_slot), 4);
                integer(std::bit_cast<uint64_t>(attribute.value), 8);
            }
            size(instruction.workspace_offset);
            size(instruction.workspace_bytes);
            integer(instruction.prepared_ahead ? 1 : 0, 1);
            integer(instruction.joins_previous ? 1 : 0, 1);
        }
    }

    std::vector<uint8_t> bytes_;
};

inline PlanValue f32_value(const std::string& name, Region region, std::vector<int64_t> shape,
                           int64_t offset) {
    PlanValue value;
    value.name = name;
    value.region = region;
    value.num_dims = static_cast<int32_t>(shape.size());
    value.bytes = 4;
    for (size_t i = 0; i < shape.size(); ++i) {
        value.shape[i] = shape[i];
        value.bytes *= shape[i];
    }
    value.offset = offset;
    return value;
}

// weight (2,3) persistent; entries `step` (x -> sum = weight + x, then weight -= learningRate * x)
// and `row` (the row of x that the scalar `row` names).
inline Plan small_plan() {
    Plan plan;
    plan.device = "cpu";
    plan.persistent_bytes = 256;
    plan.arena_bytes = 768;
    plan.scalars = {"learningRate", "row"};
    plan.values = {
        f32_value("weight", Region::kPersistent, {2, 3}, 0),
        f32_value("x", Region::kArena, {2, 3}, 0),
        f32_value("sum", Region::kArena, {2, 3}, 256),
        f32_value("selected", Region::kArena, {1, 3}, 512),
    };
    PlanEntry step;
    step.name = "step";
    step.inputs = {1};
    step.outputs = {2};
    Instruction add;
    add.op = "add";
    add.layer = "layers.0";
    add.inputs = {0, 1};
    add.outputs = {2};
    Instruction sgd;
    sgd.op = "sgd";
    sgd.layer = "layers.0";
    sgd.inputs = {0, 1};
    sgd.outputs = {0};
    sgd.attributes = {{"learningRate", 0, 0.0}};
    step.instructions = {add, sgd};
    PlanEntry row;
    row.name = "row";
    row.inputs = {1};
    row.outputs = {3};
    Instruction select;
    select.op = "selectRow";
    select.layer = "head";
    select.inputs = {1};
    select.outputs = {3};
    select.attributes = {{"row", 1, 0.0}};
    row.instructions = {select};
    plan.entries = {step, row};
    return plan;
}

// Entry `sums` of the plan above: weight + x and x + x, which may run at the same time.
inline void add_sums(Plan& plan) {
    plan.values.push_back(f32_value("twice", Region::kArena, {2, 3}, 512));
    const auto twice = static_cast<int32_t>(plan.values.size() - 1);
    PlanEntry sums;
    sums.name = "sums";
    sums.inputs = {1};
    sums.outputs = {2, twice};
    Instruction first;
    first.op = "add";
    first.layer = "layers.0";
    first.inputs = {0, 1};
    first.outputs = {2};
    Instruction second = first;
    second.layer = "layers.1";
    second.inputs = {1, 1};
    second.outputs = {twice};
    second.joins_previous = true;
    sums.instructions = {first, second};
    plan.entries.push_back(sums);
}

}  // namespace compact::test
