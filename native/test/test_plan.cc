// Malformed plans: every one is refused with a typed error or runs within its bounds.
#include <functional>
#include <string>

#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/core/plan_check.h"
#include "native/core/plan_reader.h"
#include "native/test/check.h"
#include "native/test/plan_writer.h"
#include "native/test/stub_backend.h"

namespace compact::test {
namespace {

constexpr int64_t kMemoryLimit = int64_t{1} << 20;

EngineOptions options() {
    EngineOptions result;
    result.threads = 2;
    result.memory_limit_bytes = kMemoryLimit;
    return result;
}

// Loads a plan and runs what it holds. Empty when it was accepted, else the code of the error.
std::string load_and_run(const std::vector<uint8_t>& bytes) {
    Engine engine(stub_backend(), options());
    engine.open();
    try {
        engine.load(bytes);
    } catch (const Error& error) {
        return error.code;
    }
    const Plan plan = read_plan(bytes);
    for (const PlanEntry& entry : plan.entries) {
        std::vector<std::vector<uint8_t>> buffers;
        RunRequest request;
        request.entry = entry.name;
        request.scalars.assign(plan.scalars.size(), 1.0);
        for (const int32_t id : entry.inputs) buffers.emplace_back(plan.values[id].bytes);
        for (const int32_t id : entry.outputs) buffers.emplace_back(plan.values[id].bytes);
        for (size_t i = 0; i < buffers.size(); ++i) {
            if (i < entry.inputs.size()) {
                request.inputs.emplace_back(buffers[i]);
            } else {
                request.outputs.emplace_back(buffers[i]);
            }
        }
        try {
            engine.run(request);
        } catch (const Error& error) {
            CHECK(error.code.starts_with("ERR_COMPACT_"));
        }
    }
    return "";
}

std::string code_after(const std::function<void(Plan&)>& spoil) {
    Plan plan = small_plan();
    spoil(plan);
    return load_and_run(PlanWriter::encode(plan));
}

constexpr const char* kInvalid = "ERR_COMPACT_PLAN_INVALID";

Instruction& first(Plan& plan) { return plan.entries[0].instructions[0]; }

// What the reader says of two products (2, 3) (3, 3) that may run at the same time, after a change.
std::string code_of_products(const std::function<void(Plan&, Instruction&, Instruction&)>& change) {
    return code_after([&](Plan& plan) {
        plan.arena_bytes = 32768;
        plan.values[0] = f32_value("a", Region::kArena, {2, 3}, 0);
        plan.values[1] = f32_value("b", Region::kArena, {3, 3}, 256);
        plan.values[2] = f32_value("c", Region::kArena, {2, 3}, 512);
        plan.values.push_back(f32_value("d", Region::kArena, {2, 3}, 768));
        Instruction product = first(plan);
        product.op = "matmul";
        product.workspace_offset = 8192;
        product.workspace_bytes = 8192;  // two threads
        Instruction other = product;
        other.outputs = {4};
        other.workspace_offset = 16384;
        other.joins_previous = true;
        change(plan, product, other);
        PlanEntry entry;
        entry.name = "products";
        entry.instructions = {product, other};
        plan.entries = {entry};
    });
}

}  // namespace

TEST(plan_small_is_accepted) {
    CHECK(code_after([](Plan&) {}).empty());
}

TEST(plan_truncated_at_every_byte) {
    const std::vector<uint8_t> bytes = PlanWriter::encode(small_plan());
    for (size_t length = 0; length < bytes.size(); ++length) {
        const std::vector<uint8_t> part(bytes.begin(),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(length));
        if (!CHECK(load_and_run(part) == kInvalid)) return;
    }
}

TEST(plan_every_byte_changed) {
    const std::vector<uint8_t> bytes = PlanWriter::encode(small_plan());
    int accepted = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
        for (const uint8_t mask : {0x01, 0x10, 0x80, 0xff}) {
            std::vector<uint8_t> changed = bytes;
            changed[i] ^= mask;
            const std::string code = load_and_run(changed);
            accepted += code.empty() ? 1 : 0;
            if (!CHECK(code.empty() || code.starts_with("ERR_COMPACT_"))) return;
        }
    }
    // Names may change; most other bytes may not.
    CHECK(accepted > 0);
    CHECK(accepted < static_cast<int>(bytes.size()) * 2);
}

TEST(plan_trailing_bytes) {
    std::vector<uint8_t> bytes = PlanWriter::encode(small_plan());
    bytes.push_back(0);
    CHECK(load_and_run(bytes) == kInvalid);
}

TEST(plan_of_another_device) {
    CHECK(code_after([](Plan& plan) { plan.device = "cuda"; }) == "ERR_COMPACT_PLAN_DEVICE");
}

TEST(plan_with_unknown_op) {
    CHECK(code_after([](Plan& plan) { first(plan).op = "softmax"; }) ==
          "ERR_COMPACT_OP_UNSUPPORTED");
    // In the table of signatures, but not in this backend.
    CHECK(code_after([](Plan& plan) { first(plan).op = "multiply"; }) ==
          "ERR_COMPACT_OP_UNSUPPORTED");
}

TEST(plan_above_the_memory_limit) {
    CHECK(code_after([](Plan& plan) { plan.arena_bytes = kMemoryLimit; }) ==
          "ERR_COMPACT_DOES_NOT_FIT");
}

TEST(plan_values_outside_their_region) {
    CHECK(code_after([](Plan& plan) { plan.values[1].offset = 768; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].offset = 128; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].bytes = 20; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].shape[0] = int64_t{1} << 59; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].shape[0] = 0; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].num_dims = 0; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[1].num_dims = 5; }) == kInvalid);
}

TEST(plan_persistent_values_apart) {
    CHECK(code_after([](Plan& plan) {
              plan.values.push_back(f32_value("other", Region::kPersistent, {2}, 0));
          }) == kInvalid);
    CHECK(code_after([](Plan& plan) {
              plan.persistent_bytes = 512;
              plan.values.push_back(f32_value("weight", Region::kPersistent, {2}, 256));
          }) == kInvalid);
}

TEST(plan_rows_of_persistent_values) {
    const auto code_of_rows = [](const std::function<void(PlanValue&)>& spoil) {
        return code_after([&](Plan& plan) {
            plan.persistent_bytes = 256 + 8 * 512;
            plan.values.push_back(f32_value("table", Region::kPersistent, {8, 128}, 256));
            PlanValue rows = f32_value("rows", Region::kPersistent, {3, 128}, 256 + 5 * 512);
            rows.is_rows = true;
            spoil(rows);
            plan.values.push_back(rows);
        });
    };
    CHECK(code_of_rows([](PlanValue&) {}).empty());
    CHECK(code_of_rows([](PlanValue& rows) { rows.name = "table"; }).empty());  // by ids alone
    CHECK(code_of_rows([](PlanValue& rows) { rows.is_rows = false; }) == kInvalid);
    CHECK(code_of_rows([](PlanValue& rows) { rows.offset -= 256; }) == kInvalid);
    CHECK(code_of_rows([](PlanValue& rows) { rows.offset = 0; }) == kInvalid);
    CHECK(code_of_rows([](PlanValue& rows) {
              rows.shape[1] = 64;
              rows.bytes /= 2;
          }) == kInvalid);
    CHECK(code_of_rows([](PlanValue& rows) { rows.dtype = CP_I32; }) == kInvalid);
    CHECK(code_of_rows([](PlanValue& rows) {
              rows.shape[0] = 4;
              rows.bytes += 512;
          }) == kInvalid);
}

TEST(plan_ids_out_of_range) {
    CHECK(code_after([](Plan& plan) { first(plan).inputs[0] = 4; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { first(plan).inputs[0] = -2; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { first(plan).inputs[0] = -1; }) == kInvalid);  // not optional
    CHECK(code_after([](Plan& plan) { first(plan).outputs[0] = -1; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.entries[0].inputs[0] = 9; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.entries[0].outputs = {2, 2}; }) == kInvalid);
}

TEST(plan_operands_of_wrong_number_shape_and_dtype) {
    CHECK(code_after([](Plan& plan) { first(plan).inputs.push_back(0); }) == kInvalid);
    CHECK(code_after([](Plan& plan) { first(plan).inputs.pop_back(); }) == kInvalid);
    CHECK(code_after([](Plan& plan) { first(plan).outputs.clear(); }) == kInvalid);
    CHECK(code_after([](Plan& plan) { first(plan).inputs[1] = 3; }) == kInvalid);
    CHECK(code_after([](Plan& plan) { plan.values[2].dtype = CP_I32; }) == kInvalid);
}

TEST(plan_attributes) {
    const auto sgd = [](Plan& plan) -> Instruction& { return plan.entries[0].instructions[1]; };
    CHECK(code_after([&](Plan& plan) { sgd(plan).attributes.clear(); }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { sgd(plan).attributes[0].scalar_slot = 2; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { sgd(plan).attributes[0].scalar_slot = -2; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { sgd(plan).attributes[0].name = "rate"; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) {
              sgd(plan).attributes.push_back({"step", -1, 1e300});
          }) == kInvalid);
    CHECK(code_after([&](Plan& plan) {
              sgd(plan).attributes.push_back({"learningRate", -1, 1.0});
          }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { sgd(plan).attributes.push_back({"step", -1, 3.0}); }) == "");
}

TEST(plan_aliasing) {
    // add may write on either operand, exactly.
    CHECK(code_after([](Plan& plan) { first(plan).outputs[0] = 1; }) == "");
    CHECK(code_after([](Plan& plan) { plan.values[2].offset = 0; }) == "");
    // A part of an operand, or an op without that right, is refused.
    CHECK(code_after([](Plan& plan) {
              plan.values[1] = f32_value("x", Region::kArena, {96}, 0);
              plan.values[2] = f32_value("sum", Region::kArena, {96}, 256);
              plan.values[0] = f32_value("weight", Region::kPersistent, {96}, 0);
              plan.persistent_bytes = 512;
          }) == kInvalid);
    CHECK(code_after([](Plan& plan) {
              first(plan).op = "copy";
              first(plan).inputs = {1};
              plan.values[2].offset = 0;
          }) == kInvalid);
    // An update happens in the memory of its input.
    CHECK(code_after([](Plan& plan) { plan.entries[0].instructions[1].outputs[0] = 2; }) ==
          kInvalid);
    CHECK(code_after([](Plan& plan) { plan.entries[0].instructions[1].inputs[1] = 0; }) ==
          kInvalid);
    // The momentum of sgd is an output exactly when it is an input.
    CHECK(code_after([](Plan& plan) { plan.entries[0].instructions[1].inputs.push_back(2); }) ==
          kInvalid);
    CHECK(code_after([](Plan& plan) {
              plan.entries[0].instructions[1].inputs.push_back(2);
              plan.entries[0].instructions[1].outputs.push_back(2);
          }) == "");
}

TEST(plan_workspace_and_accumulator) {
    const auto product = [](Plan& plan) -> Instruction& {
        plan.arena_bytes = 16384;
        plan.values[0] = f32_value("a", Region::kArena, {2, 3}, 4096);
        Instruction& matmul = first(plan);
        matmul.op = "matmul";
        matmul.workspace_offset = 8192;
        matmul.workspace_bytes = 8192;  // two threads
        plan.entries[0].instructions.pop_back();
        return matmul;
    };
    CHECK(code_after([&](Plan& plan) { product(plan); }) == "");
    CHECK(code_after([&](Plan& plan) { product(plan).workspace_bytes = 4096; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { product(plan).workspace_offset = 8256; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { product(plan).workspace_offset = 12288; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { product(plan).workspace_offset = 0; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) { product(plan).workspace_bytes = int64_t{1} << 59; }) ==
          kInvalid);
    const PlanAttribute accumulate{"accumulate", -1, 1.0};
    CHECK(code_after([&](Plan& plan) { product(plan).attributes = {accumulate}; }) == kInvalid);
    CHECK(code_after([&](Plan& plan) {
              product(plan).attributes = {accumulate};
              first(plan).inputs.push_back(2);
          }) == "");
    CHECK(code_after([&](Plan& plan) { product(plan).inputs.push_back(1); }) == kInvalid);
}

TEST(plan_groups) {
    const auto code_of_sums = [](const std::function<void(std::vector<Instruction>&)>& spoil) {
        return code_after([&](Plan& plan) {
            add_sums(plan);
            spoil(plan.entries.back().instructions);
        });
    };
    CHECK(code_of_sums([](auto&) {}) == "");
    // Nothing to join, another op, too many.
    CHECK(code_of_sums([](auto& sums) { sums[0].joins_previous = true; }) == kInvalid);
    CHECK(code_of_sums([](auto& sums) {
              sums[1].op = "copy";
              sums[1].inputs = {1};
          }) == kInvalid);
    CHECK(code_after([](Plan& plan) {
              plan.arena_bytes = 2048;
              PlanEntry entry;
              entry.name = "many";
              for (int32_t i = 0; i <= CP_MAX_GROUP; ++i) {
                  plan.values.push_back(
                      f32_value("sum", Region::kArena, {2, 3}, 512 + 256 * int64_t{i}));
                  Instruction sum = first(plan);
                  sum.outputs = {static_cast<int32_t>(plan.values.size() - 1)};
                  sum.joins_previous = i > 0;
                  entry.instructions.push_back(sum);
              }
              plan.entries.push_back(entry);
          }) == kInvalid);
    // The second reads what the first writes, or writes what the first reads or writes.
    CHECK(code_of_sums([](auto& sums) { sums[1].inputs = {1, 2}; }) == kInvalid);
    CHECK(code_of_sums([](auto& sums) { sums[1].outputs = {1}; }) == kInvalid);
    CHECK(code_of_sums([](auto& sums) { sums[1].outputs = {2}; }) == kInvalid);
    // One after the other they may.
    CHECK(code_of_sums([](auto& sums) {
              sums[1].inputs = {1, 2};
              sums[1].joins_previous = false;
          }) == "");
}

TEST(plan_groups_have_workspaces_apart) {
    const auto code_of_offset = [](int64_t offset, bool joins) {
        return code_of_products([&](Plan&, Instruction&, Instruction& other) {
            other.workspace_offset = offset;
            other.joins_previous = joins;
        });
    };
    CHECK(code_of_offset(16384, true) == "");
    CHECK(code_of_offset(8192, true) == kInvalid);
    CHECK(code_of_offset(12288, true) == kInvalid);
    CHECK(code_of_offset(8192, false) == "");
    // Where the other's output lies.
    CHECK(code_of_offset(0, true) == kInvalid);
}

// Members may write different elements of one vector, and nothing else may touch those.
TEST(plan_groups_share_vectors) {
    const auto code_of = [](const std::function<void(Plan&, Instruction&, Instruction&)>& change) {
        return code_of_products([&](Plan& plan, Instruction& product, Instruction& other) {
            plan.values.push_back(f32_value("squares", Region::kArena, {3}, 1024));
            const auto squares = static_cast<int32_t>(plan.values.size() - 1);
            for (Instruction* each : {&product, &other}) {
                each->inputs = {0, 1, -1, squares};
                each->outputs.push_back(squares);
                each->attributes = {{"squaresIndex", -1, each == &other ? 2.0 : 0.0}};
            }
            change(plan, product, other);
        });
    };
    CHECK(code_of([](Plan&, Instruction&, Instruction&) {}) == "");
    CHECK(code_of([](Plan&, Instruction& product, Instruction&) {
              product.attributes[0].value = 2.0;
          }) == kInvalid);
    // Which element is only known when it runs, or there is none of that number.
    CHECK(code_of([](Plan&, Instruction& product, Instruction&) {
              product.attributes[0].scalar_slot = 0;
          }) == kInvalid);
    CHECK(code_of([](Plan&, Instruction& product, Instruction&) {
              product.attributes[0].value = 3.0;
          }) == kInvalid);
    // What the second product writes, the first reads as a part of b.
    const auto code_of_matrix = [&](bool joins) {
        return code_of([&](Plan& plan, Instruction& product, Instruction& other) {
            plan.values[1] = f32_value("b", Region::kArena, {3, 3}, 1024);
            plan.values.push_back(f32_value("e", Region::kArena, {3, 3}, 256));
            product.inputs = {0, 1};
            product.outputs = {2};
            product.attributes = {};
            other.inputs[1] = static_cast<int32_t>(plan.values.size() - 1);
            other.joins_previous = joins;
        });
    };
    CHECK(code_of_matrix(false) == "");
    CHECK(code_of_matrix(true) == kInvalid);
}

TEST(plan_errors_name_the_place) {
    Plan plan = small_plan();
    plan.entries[0].instructions[1].inputs[1] = 3;
    const CpLimits limits{2, {}};
    try {
        check_plan(plan, stub_backend(), limits);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.entry == "step");
        CHECK(error.layer == "layers.0");
        CHECK(error.op == "sgd");
        CHECK(error.expected == "gradient f32 or bf16 [6 elements]");
        CHECK(error.received == "f32[1,3]");
    }
}

}  // namespace compact::test
