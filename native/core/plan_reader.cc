#include "native/core/plan_reader.h"

#include <bit>
#include <cstring>

#include "native/core/error.h"

namespace compact {
namespace {

constexpr char kMagic[8] = {'C', 'P', 'T', 'P', 'L', 'A', 'N', '\0'};
constexpr char kEnd[4] = {'E', 'N', 'D', '\0'};
constexpr uint32_t kVersion = 4;
constexpr uint64_t kMaxBytes = uint64_t{1} << 60;  // leaves room to add two sizes without overflow

class Reader {
  public:
    explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    [[noreturn]] void fail(const std::string& expected, const std::string& received) const {
        throw Error("ERR_COMPACT_PLAN_INVALID", "plan",
                    expected + " at byte " + std::to_string(position_), received);
    }

    uint8_t u8() { return take(1)[0]; }
    uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
    int32_t i32() { return static_cast<int32_t>(u32()); }
    double f64() { return std::bit_cast<double>(little_endian(8)); }

    bool flag() {
        const uint8_t value = u8();
        if (value > 1) fail("a flag of 0 or 1", std::to_string(value));
        return value == 1;
    }

    // A byte count, offset or dimension.
    int64_t size() {
        const uint64_t value = little_endian(8);
        if (value > kMaxBytes) fail("a size below 2^60", std::to_string(value));
        return static_cast<int64_t>(value);
    }

    // A count of items that take at least `item_bytes` each, so a wrong one cannot reserve memory.
    uint32_t count(size_t item_bytes) {
        const uint32_t value = u32();
        if (value > (bytes_.size() - position_) / item_bytes)
            fail("a count that the remaining bytes can hold", std::to_string(value));
        return value;
    }

    std::string string() {
        const auto text = take(count(1));
        return {reinterpret_cast<const char*>(text.data()), text.size()};
    }

    void literal(std::span<const char> text, const char* what) {
        const auto found = take(text.size());
        if (std::memcmp(found.data(), text.data(), text.size()) != 0) fail(what, "other bytes");
    }

    void finish() const {
        if (position_ != bytes_.size())
            fail("the end", std::to_string(bytes_.size() - position_) + " more bytes");
    }

  private:
    std::span<const uint8_t> take(size_t count) {
        if (count > bytes_.size() - position_)
            fail(std::to_string(count) + " more bytes", std::to_string(bytes_.size() - position_));
        const auto taken = bytes_.subspan(position_, count);
        position_ += count;
        return taken;
    }

    uint64_t little_endian(size_t count) {
        uint64_t value = 0;
        size_t shift = 0;
        for (const uint8_t byte : take(count)) {
            value |= uint64_t{byte} << shift;
            shift += 8;
        }
        return value;
    }

    std::span<const uint8_t> bytes_;
    size_t position_ = 0;
};

PlanValue read_value(Reader& in) {
    PlanValue value;
    value.name = in.string();
    value.layer = in.string();
    value.dtype = in.u8();
    if (value.dtype > CP_I8) in.fail("a dtype of 0 to 4", std::to_string(value.dtype));
    const uint8_t region = in.u8();
    if (region > 2) in.fail("a region of 0 to 2", std::to_string(region));
    value.is_rows = region == 2;
    value.region = value.is_rows ? Region::kPersistent : static_cast<Region>(region);
    value.num_dims = in.u8();
    if (value.num_dims < 1 || value.num_dims > CP_MAX_DIMS)
        in.fail("1 to 4 dimensions", std::to_string(value.num_dims));
    for (int32_t i = 0; i < value.num_dims; ++i) value.shape[i] = in.size();
    value.offset = in.size();
    value.bytes = in.size();
    return value;
}

std::vector<int32_t> read_ids(Reader& in) {
    std::vector<int32_t> ids(in.count(4));
    for (int32_t& id : ids) id = in.i32();
    return ids;
}

Instruction read_instruction(Reader& in) {
    Instruction instruction;
    instruction.op = in.string();
    instruction.layer = in.string();
    instruction.inputs = read_ids(in);
    instruction.outputs = read_ids(in);
    instruction.attributes.resize(in.count(16));
    for (PlanAttribute& attribute : instruction.attributes) {
        attribute.name = in.string();
        attribute.scalar_slot = in.i32();
        attribute.value = in.f64();
    }
    instruction.workspace_offset = in.size();
    instruction.workspace_bytes = in.size();
    instruction.prepared_ahead = in.flag();
    instruction.joins_previous = in.flag();
    return instruction;
}

PlanEntry read_entry(Reader& in) {
    PlanEntry entry;
    entry.name = in.string();
    entry.inputs = read_ids(in);
    entry.outputs = read_ids(in);
    const uint32_t num_instructions = in.count(38);
    for (uint32_t i = 0; i < num_instructions; ++i)
        entry.instructions.push_back(read_instruction(in));
    return entry;
}

}  // namespace

Plan read_plan(std::span<const uint8_t> bytes) {
    Reader in(bytes);
    Plan plan;
    in.literal(kMagic, "the mark CPTPLAN");
    if (const uint32_t version = in.u32(); version != kVersion)
        in.fail("plan version " + std::to_string(kVersion), std::to_string(version));
    plan.device = in.string();
    plan.persistent_bytes = in.size();
    plan.arena_bytes = in.size();
    const uint32_t num_scalars = in.count(4);
    for (uint32_t i = 0; i < num_scalars; ++i) plan.scalars.push_back(in.string());
    const uint32_t num_values = in.count(35);
    for (uint32_t i = 0; i < num_values; ++i) plan.values.push_back(read_value(in));
    const uint32_t num_entries = in.count(16);
    for (uint32_t i = 0; i < num_entries; ++i) plan.entries.push_back(read_entry(in));
    in.literal(kEnd, "the mark END");
    in.finish();
    return plan;
}

}  // namespace compact
