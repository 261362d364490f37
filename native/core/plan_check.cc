#include "native/core/plan_check.h"

#include <algorithm>
#include <set>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "native/backend/call.h"
#include "native/core/error.h"
#include "native/core/signature.h"

namespace compact {
namespace {

constexpr int64_t kAlignment = 256;  // of values and workspaces

// Bytes that an operand holds.
struct Range {
    Region region = Region::kArena;
    int64_t offset = 0;
    int64_t bytes = 0;

    bool overlaps(const Range& other) const {
        return bytes > 0 && other.bytes > 0 && region == other.region &&
               offset < other.offset + other.bytes && other.offset < offset + bytes;
    }
    bool operator==(const Range&) const = default;
};

Range range_of(const PlanValue& value) { return {value.region, value.offset, value.bytes}; }

Range workspace_of(const Instruction& instruction) {
    return {Region::kArena, instruction.workspace_offset, instruction.workspace_bytes};
}

[[noreturn]] void fail(const std::string& what, const std::string& expected,
                       const std::string& received) {
    throw Error("ERR_COMPACT_PLAN_INVALID", what, expected, received);
}

CpTensor tensor_of(const PlanValue& value, void* region) {
    CpTensor tensor{};
    tensor.data = region == nullptr ? nullptr : static_cast<char*>(region) + value.offset;
    std::copy(std::begin(value.shape), std::end(value.shape), std::begin(tensor.shape));
    tensor.num_dims = value.num_dims;
    tensor.dtype = value.dtype;
    return tensor;
}

// ---- Values

void check_value(const Plan& plan, const PlanValue& value) {
    const int64_t region_bytes =
        value.region == Region::kPersistent ? plan.persistent_bytes : plan.arena_bytes;
    int64_t elements = 1;
    for (int32_t i = 0; i < value.num_dims; ++i) {
        const int64_t size = value.shape[i];
        if (size < 1) fail(value.name, "sizes of at least 1", std::to_string(size));
        if (size > region_bytes / elements)
            fail(value.name, "a shape that fits its region", "more");
        elements *= size;
    }
    // Both factors are at most 2^60 and 4, so this cannot overflow.
    const int64_t bytes = elements * dtype_bytes(value.dtype);
    if (value.bytes != bytes)
        fail(value.name, std::to_string(bytes) + " bytes", std::to_string(value.bytes));
    if (value.offset % kAlignment != 0)
        fail(value.name, "an offset that is a multiple of 256", std::to_string(value.offset));
    if (value.offset > region_bytes - bytes)
        fail(value.name, "an end within " + std::to_string(region_bytes) + " bytes",
             std::to_string(value.offset + bytes));
}

// No two of the values share a byte.
void check_apart(std::vector<const PlanValue*> values) {
    std::sort(values.begin(), values.end(), [](const PlanValue* a, const PlanValue* b) {
        return std::tie(a->region, a->offset) < std::tie(b->region, b->offset);
    });
    for (size_t i = 1; i < values.size(); ++i) {
        if (range_of(*values[i - 1]).overlaps(range_of(*values[i])))
            fail(values[i]->name, "bytes apart from " + values[i - 1]->name, "shared bytes");
    }
}

// Rows lie within one value of their dtype, whose rows are as long.
void check_rows(const PlanValue& rows, const std::vector<const PlanValue*>& values) {
    const auto holds = [&](const PlanValue* value) {
        if (value->dtype != rows.dtype || value->num_dims != rows.num_dims) return false;
        if (!std::equal(rows.shape + 1, rows.shape + rows.num_dims, value->shape + 1)) return false;
        const int64_t row_bytes = value->bytes / value->shape[0];
        const int64_t first = rows.offset - value->offset;
        return first >= 0 && first % row_bytes == 0 && first + rows.bytes <= value->bytes;
    };
    if (std::none_of(values.begin(), values.end(), holds))
        fail(rows.name, "rows of a persistent value", "other bytes");
}

void check_persistent_values(const Plan& plan) {
    std::vector<const PlanValue*> values;
    std::set<std::string_view> names;
    std::vector<const PlanValue*> rows;
    for (const PlanValue& value : plan.values) {
        if (value.region != Region::kPersistent) continue;
        (value.is_rows ? rows : values).push_back(&value);
        if (!value.is_rows && !names.insert(value.name).second)
            fail(value.name, "persistent values of different names", "two of one name");
    }
    for (const PlanValue* value : rows) check_rows(*value, values);
    check_apart(std::move(values));
}

// ---- Instructions

class InstructionCheck {
  public:
    // `before`: the group before the instruction's own, which has been checked.
    InstructionCheck(const Plan& plan, const CpBackend& backend, const CpLimits& limits,
                     std::span<const Instruction> before, Instruction& instruction)
        : plan_(plan),
          backend_(backend),
          limits_(limits),
          before_(before),
          instruction_(instruction) {}

    void run() {
        instruction_.signature = find_signature(instruction_.op);
        instruction_.kernel = find_op(backend_, instruction_.op);
        if (instruction_.signature == nullptr || instruction_.kernel == nullptr)
            throw Error("ERR_COMPACT_OP_UNSUPPORTED", instruction_.op,
                        "an op of the " + std::string(backend_.name) + " backend", instruction_.op);
        check_ids();
        for (const PlanAttribute& attribute : instruction_.attributes) {
            if (attribute.scalar_slot < -1 ||
                attribute.scalar_slot >= static_cast<int32_t>(plan_.scalars.size()))
                refuse("a scalar slot below " + std::to_string(plan_.scalars.size()),
                       std::to_string(attribute.scalar_slot));
        }
        CpCall probe{};
        if (auto mismatch =
                fill_attributes(*instruction_.signature, instruction_.attributes, probe))
            refuse(mismatch->expected, mismatch->received);
        const CpCall call = make_call(plan_, instruction_, nullptr, nullptr, nullptr);
        if (auto mismatch = check_operands(*instruction_.signature, call))
            refuse(mismatch->expected, mismatch->received);
        CpError error{};
        const CpOp& kernel = *instruction_.kernel;
        if (kernel.check != nullptr && kernel.check(&call, &error) != CP_OK)
            refuse(error.expected, error.received);
        check_workspace(call);
        check_aliasing(call);
        if (instruction_.prepared_ahead) check_prepared();
    }

  private:
    [[noreturn]] void refuse(const std::string& expected, const std::string& received) const {
        fail(instruction_.op, expected, received);
    }

    const PlanValue& value(int32_t id) const { return plan_.values[static_cast<size_t>(id)]; }

    void check_ids() const {
        const auto num_values = static_cast<int32_t>(plan_.values.size());
        const Signature& signature = *instruction_.signature;
        if (instruction_.inputs.size() > signature.inputs.size())
            refuse("at most " + std::to_string(signature.inputs.size()) + " inputs",
                   std::to_string(instruction_.inputs.size()));
        if (instruction_.outputs.size() > signature.outputs.size())
            refuse("at most " + std::to_string(signature.outputs.size()) + " outputs",
                   std::to_string(instruction_.outputs.size()));
        for (const int32_t id : instruction_.inputs)
            if (id < -1 || id >= num_values)
                refuse("input ids below " + std::to_string(num_values), std::to_string(id));
        for (const int32_t id : instruction_.outputs)
            if (id < 0 || id >= num_values)
                refuse("output ids below " + std::to_string(num_values), std::to_string(id));
    }

    Range workspace() const { return workspace_of(instruction_); }

    void check_workspace(const CpCall& call) const {
        const Range space = workspace();
        const int64_t needed = instruction_.kernel->workspace_bytes(&call, &limits_);
        if (space.bytes < needed)
            refuse("at least " + std::to_string(needed) + " bytes of workspace for " +
                       std::to_string(limits_.threads) + " threads",
                   std::to_string(space.bytes));
        if (space.offset % kAlignment != 0)
            refuse("a workspace offset that is a multiple of 256", std::to_string(space.offset));
        if (space.bytes > plan_.arena_bytes || space.offset > plan_.arena_bytes - space.bytes)
            refuse("a workspace within " + std::to_string(plan_.arena_bytes) + " bytes",
                   std::to_string(space.offset + space.bytes));
    }

    // An output shares no byte with another operand, but for the memory that the op may reuse.
    void check_aliasing(const CpCall& call) const {
        const Signature& signature = *instruction_.signature;
        const auto specs = expected_outputs(signature, call);
        for (size_t i = 0; i < specs.size(); ++i) {
            const OperandSpec& spec = *specs[i];
            const PlanValue& output = value(instruction_.outputs[i]);
            const Range range = range_of(output);
            if (spec.input >= 0) check_same_memory(call, spec, range);
            for (size_t j = 0; j < instruction_.inputs.size(); ++j) {
                if (instruction_.inputs[j] < 0) continue;
                const Range other = range_of(value(instruction_.inputs[j]));
                const bool reusable = static_cast<int32_t>(j) == spec.input ||
                                      may_alias(signature, spec, signature.inputs[j]);
                if (range.overlaps(other) && !(reusable && range == other))
                    refuse(spec.name + " apart from the input " + signature.inputs[j].name,
                           "shared bytes");
            }
            for (size_t j = 0; j < i; ++j)
                if (range.overlaps(range_of(value(instruction_.outputs[j]))))
                    refuse(spec.name + " apart from the output " + specs[j]->name, "shared bytes");
            if (range.overlaps(workspace()))
                refuse(spec.name + " apart from the workspace", "shared bytes");
        }
        for (const int32_t id : instruction_.inputs)
            if (id >= 0 && range_of(value(id)).overlaps(workspace()))
                refuse(value(id).name + " apart from the workspace", "shared bytes");
    }

    // Updates are their input; accumulating outputs are their accumulator when there is one.
    void check_same_memory(const CpCall& call, const OperandSpec& spec, const Range& range) const {
        const auto index = static_cast<size_t>(spec.input);
        if (!present(call.inputs[index])) {
            const CpAttribute& accumulate = call.attributes[instruction_.signature->accumulate];
            if (accumulate.scalar_slot >= 0 || accumulate.value != 0.0)
                refuse("accumulate = 0 where there is no accumulator", "accumulate");
            return;
        }
        if (!(range == range_of(value(instruction_.inputs[index]))))
            refuse(spec.name + " in the memory of its input", "other memory");
    }

    // The workspace is written while the group before is at work.
    void check_prepared() const {
        if (instruction_.kernel->prepare == nullptr)
            refuse("no preparation on this device", "an instruction that is prepared ahead");
        if (instruction_.joins_previous)
            refuse("preparation of the first of a group alone", "another one of it");
        if (before_.empty()) refuse("an instruction before the one that is prepared ahead", "none");
        for (const Instruction& other : before_) {
            check_prepared_apart_from(workspace_of(other), "the workspace", other);
            for (const auto* ids : {&other.inputs, &other.outputs})
                for (const int32_t id : *ids)
                    if (id >= 0)
                        check_prepared_apart_from(range_of(value(id)), value(id).name, other);
        }
    }

    void check_prepared_apart_from(const Range& range, const std::string& name,
                                   const Instruction& other) const {
        if (workspace().overlaps(range))
            refuse("a workspace prepared ahead, apart from " + name + " of " + other.op,
                   "shared bytes");
    }

    const Plan& plan_;
    const CpBackend& backend_;
    const CpLimits& limits_;
    const std::span<const Instruction> before_;
    Instruction& instruction_;
};

// Members of a group may run at the same time, so none touches a byte that another one writes.
class GroupCheck {
  public:
    GroupCheck(const Plan& plan, std::span<const Instruction> members)
        : plan_(plan), members_(members) {}

    void run() const {
        if (members_.size() > CP_MAX_GROUP)
            refuse(members_[0], "at most " + std::to_string(CP_MAX_GROUP) + " in a group",
                   std::to_string(members_.size()));
        for (const Instruction& member : members_) {
            if (member.op != members_[0].op)
                refuse(member, "a group of " + members_[0].op + " alone", member.op);
            for (const Instruction& other : members_)
                if (&other != &member) check_apart(member, other);
        }
    }

  private:
    [[noreturn]] static void refuse(const Instruction& member, const std::string& expected,
                                    const std::string& received) {
        Error error("ERR_COMPACT_PLAN_INVALID", member.op, expected, received);
        error.layer = member.layer;
        throw error;
    }

    // Of an update of one element, that element.
    Range written_range(const CpCall& call, const OperandSpec& output, int32_t id) const {
        const PlanValue& value = plan_.values[static_cast<size_t>(id)];
        const Range whole = range_of(value);
        for (int32_t i = 0; i < call.num_attributes; ++i) {
            const CpAttribute& element = call.attributes[i];
            if (element.name != output.element || element.scalar_slot >= 0) continue;
            const int64_t bytes = dtype_bytes(value.dtype);
            const auto number = static_cast<int64_t>(element.value);
            if (number >= 0 && number < whole.bytes / bytes)
                return {whole.region, whole.offset + number * bytes, bytes};
        }
        return whole;
    }

    struct Touched {
        std::vector<Range> written;
        std::vector<Range> read;  // beside that
    };

    Touched touched_by(const Instruction& member) const {
        Touched touched{{workspace_of(member)}, {}};
        std::vector<int32_t> inputs = member.inputs;
        const CpCall call = make_call(plan_, member, nullptr, nullptr, nullptr);
        const auto outputs = expected_outputs(*member.signature, call);
        for (size_t i = 0; i < outputs.size(); ++i) {
            touched.written.push_back(written_range(call, *outputs[i], member.outputs[i]));
            if (!outputs[i]->element.empty()) inputs[static_cast<size_t>(outputs[i]->input)] = -1;
        }
        for (const int32_t id : inputs)
            if (id >= 0) touched.read.push_back(range_of(plan_.values[static_cast<size_t>(id)]));
        return touched;
    }

    void check_apart(const Instruction& member, const Instruction& other) const {
        const Touched theirs = touched_by(other);
        for (const Range& mine : touched_by(member).written)
            for (const auto* ranges : {&theirs.written, &theirs.read})
                for (const Range& range : *ranges)
                    if (mine.overlaps(range))
                        refuse(member, "what it writes apart from the others of its group",
                               "shared bytes");
    }

    const Plan& plan_;
    const std::span<const Instruction> members_;
};

void check_entry_values(const Plan& plan, const PlanEntry& entry) {
    for (const auto* ids : {&entry.inputs, &entry.outputs}) {
        std::vector<const PlanValue*> values;
        for (const int32_t id : *ids) {
            if (id < 0 || id >= static_cast<int32_t>(plan.values.size()))
                fail(entry.name, "value ids below " + std::to_string(plan.values.size()),
                     std::to_string(id));
            values.push_back(&plan.values[static_cast<size_t>(id)]);
        }
        check_apart(std::move(values));
    }
}

void check_instructions(const Plan& plan, const CpBackend& backend, const CpLimits& limits,
                        PlanEntry& entry) {
    auto& instructions = entry.instructions;
    if (!instructions.empty() && instructions[0].joins_previous)
        fail(instructions[0].op, "an instruction before the one that joins it", "none");
    std::span<const Instruction> before;
    for (size_t first = 0; first < instructions.size(); first += before.size()) {
        const auto members = entry.group(first);
        for (Instruction& instruction : std::span(instructions).subspan(first, members.size())) {
            try {
                InstructionCheck(plan, backend, limits, before, instruction).run();
            } catch (Error& error) {
                error.layer = instruction.layer;
                throw;
            }
        }
        GroupCheck(plan, members).run();
        before = members;
    }
}

}  // namespace

const CpOp* find_op(const CpBackend& backend, const std::string& name) {
    for (int32_t i = 0; i < backend.num_ops; ++i)
        if (name == backend.ops[i].name) return &backend.ops[i];
    return nullptr;
}

CpCall make_call(const Plan& plan, const Instruction& instruction, void* persistent, void* arena,
                 const double* scalars) {
    CpCall call{};
    const auto tensor = [&](int32_t id) {
        if (id < 0) return CpTensor{};
        const PlanValue& value = plan.values[static_cast<size_t>(id)];
        return tensor_of(value, value.region == Region::kPersistent ? persistent : arena);
    };
    // Optional inputs that the plan leaves out at the end stay absent.
    call.num_inputs = static_cast<int32_t>(instruction.signature->inputs.size());
    for (size_t i = 0; i < instruction.inputs.size(); ++i)
        call.inputs[i] = tensor(instruction.inputs[i]);
    call.num_outputs = static_cast<int32_t>(instruction.outputs.size());
    for (size_t i = 0; i < instruction.outputs.size(); ++i)
        call.outputs[i] = tensor(instruction.outputs[i]);
    fill_attributes(*instruction.signature, instruction.attributes, call);
    if (scalars != nullptr) {
        for (int32_t i = 0; i < call.num_attributes; ++i) {
            CpAttribute& attribute = call.attributes[i];
            if (attribute.scalar_slot >= 0) attribute.value = scalars[attribute.scalar_slot];
        }
    }
    if (arena != nullptr) call.workspace = static_cast<char*>(arena) + instruction.workspace_offset;
    call.workspace_bytes = instruction.workspace_bytes;
    return call;
}

void check_plan(Plan& plan, const CpBackend& backend, const CpLimits& limits) {
    if (plan.device != backend.name)
        throw Error("ERR_COMPACT_PLAN_DEVICE", "load", std::string("a plan for ") + backend.name,
                    plan.device);
    for (const PlanValue& value : plan.values) check_value(plan, value);
    check_persistent_values(plan);
    std::set<std::string_view> names;
    for (PlanEntry& entry : plan.entries) {
        if (!names.insert(entry.name).second)
            fail(entry.name, "entries of different names", "two of one name");
        try {
            check_entry_values(plan, entry);
            check_instructions(plan, backend, limits, entry);
        } catch (Error& error) {
            error.entry = entry.name;
            throw;
        }
    }
}

}  // namespace compact
