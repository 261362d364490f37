#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <thread>

#include "native/base/host_memory.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/test/check.h"
#include "native/test/plan_writer.h"
#include "native/test/stub_backend.h"

namespace compact::test {
namespace {

using Floats = std::vector<float>;

std::span<const uint8_t> bytes_of(const Floats& values) {
    return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

std::span<uint8_t> bytes_of(Floats& values) {
    return {reinterpret_cast<uint8_t*>(values.data()), values.size() * sizeof(float)};
}

struct Fixture {
    Engine engine{stub_backend(), EngineOptions{}};
    Floats x = {1, 2, 3, 4, 5, 6};
    Floats out = Floats(6);

    explicit Fixture(const Plan& plan = small_plan()) {
        engine.open();
        engine.load(PlanWriter::encode(plan));
    }

    RunRequest request(const std::string& entry, double learning_rate, double row) {
        RunRequest result;
        result.entry = entry;
        result.scalars = {learning_rate, row};
        result.inputs = {bytes_of(x)};
        result.outputs = {bytes_of(out)};
        return result;
    }

    Floats weight() {
        Floats values(6);
        engine.read("weight", 0, bytes_of(values));
        return values;
    }
};

template <typename Body>
std::string code_of(Body&& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.code;
    }
    return "";
}

}  // namespace

TEST(engine_runs_writes_and_reads) {
    Fixture f;
    CHECK(f.weight() == Floats(6, 0.0f));  // the stub allocates NaN
    f.engine.write("weight", 0, bytes_of(Floats(6, 10.0f)));
    CHECK(f.engine.run(f.request("step", 0.5, 0)) >= 0.0);
    CHECK((f.out == Floats{11, 12, 13, 14, 15, 16}));
    CHECK((f.weight() == Floats{9.5f, 9, 8.5f, 8, 7.5f, 7}));
    Floats part(2);
    f.engine.read("weight", 8, bytes_of(part));
    CHECK((part == Floats{8.5f, 8}));
    f.engine.write("weight", 20, bytes_of(Floats{-1}));
    CHECK((f.weight() == Floats{9.5f, 9, 8.5f, 8, 7.5f, -1}));
    f.engine.write("weight", 24, {});
    f.engine.read("weight", 0, {});
}

TEST(engine_two_allocations_and_none_left) {
    const int64_t before = host_allocated_bytes();
    {
        Fixture f;
        const EngineMemory memory = f.engine.memory();
        CHECK(memory.persistent_bytes == 256);
        CHECK(memory.arena_bytes == 768);
        CHECK(memory.allocated_bytes == 1024);
        CHECK(host_allocated_bytes() - before == 1024);
        Plan plan = small_plan();
        plan.arena_bytes = 1024;
        f.engine.load(PlanWriter::encode(plan));
        CHECK(f.engine.memory().allocated_bytes == 1280);
        f.engine.close();
        CHECK(f.engine.memory().allocated_bytes == 0);
        f.engine.close();
    }
    CHECK(host_allocated_bytes() == before);
}

TEST(engine_keeps_its_plan_when_another_is_refused) {
    Fixture f;
    f.engine.write("weight", 0, bytes_of(f.x));
    CHECK(code_of([&] {
              f.engine.load(std::vector<uint8_t>{1, 2, 3});
          }) == "ERR_COMPACT_PLAN_INVALID");
    CHECK(f.weight() == f.x);
}

TEST(engine_out_of_memory_names_the_region) {
    const int64_t before = host_allocated_bytes();
    Fixture f;
    Plan plan = small_plan();
    plan.arena_bytes = int64_t{1} << 58;
    try {
        f.engine.load(PlanWriter::encode(plan));
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_OUT_OF_MEMORY");
        CHECK(error.op == "the arena");
        CHECK(error.expected == "288230376151711744 bytes");
    }
    CHECK(f.engine.memory().allocated_bytes == 0);
    CHECK(host_allocated_bytes() == before);
    f.engine.load(PlanWriter::encode(small_plan()));
    f.engine.run(f.request("step", 0, 0));
}

TEST(engine_bad_arguments) {
    Fixture f;
    CHECK(code_of([&] { f.engine.run(f.request("train", 0, 0)); }) == "ERR_COMPACT_ENTRY_UNKNOWN");
    CHECK(code_of([&] { f.engine.write("bias", 0, bytes_of(f.x)); }) ==
          "ERR_COMPACT_VALUE_UNKNOWN");
    CHECK(code_of([&] { f.engine.write("x", 0, bytes_of(f.x)); }) == "ERR_COMPACT_VALUE_UNKNOWN");
    CHECK(code_of([&] { f.engine.write("weight", 4, bytes_of(f.x)); }) == "ERR_COMPACT_ARGUMENT");
    CHECK(code_of([&] { f.engine.read("weight", -4, bytes_of(f.out)); }) == "ERR_COMPACT_ARGUMENT");
    CHECK(code_of([&] {
              f.engine.read("weight", std::numeric_limits<int64_t>::max(), bytes_of(f.out));
          }) == "ERR_COMPACT_ARGUMENT");
    RunRequest request = f.request("step", 0, 0);
    request.inputs.clear();
    CHECK(code_of([&] { f.engine.run(request); }) == "ERR_COMPACT_ARGUMENT");
    request = f.request("step", 0, 0);
    request.scalars.pop_back();
    CHECK(code_of([&] { f.engine.run(request); }) == "ERR_COMPACT_ARGUMENT");
    Engine empty(stub_backend(), EngineOptions{});
    empty.open();
    CHECK(code_of([&] { empty.run(f.request("step", 0, 0)); }) == "ERR_COMPACT_ENTRY_UNKNOWN");
}

TEST(engine_checks_scalars_when_they_are_known) {
    Fixture f;
    Floats row(3);
    RunRequest request = f.request("row", 0, 1);
    request.outputs = {bytes_of(row)};
    f.engine.run(request);
    CHECK((row == Floats{4, 5, 6}));
    request.scalars[1] = 2;
    CHECK(code_of([&] { f.engine.run(request); }) == "ERR_COMPACT_INDEX");
    request.scalars[1] = -1;
    CHECK(code_of([&] { f.engine.run(request); }) == "ERR_COMPACT_INDEX");
    request.scalars[1] = 0;
    f.engine.run(request);
    CHECK((row == Floats{1, 2, 3}));
}

TEST(engine_goes_on_after_a_failing_op) {
    Plan plan = small_plan();
    PlanEntry bad = plan.entries[0];
    bad.name = "bad";
    bad.instructions[0].op = "gelu";
    bad.instructions[0].inputs = {1};
    plan.entries.push_back(bad);
    Fixture f(plan);
    try {
        f.engine.run(f.request("bad", 0, 0));
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_NATIVE");
        CHECK(error.op == "gelu");
        CHECK(error.layer == "layers.0");
        CHECK(error.entry == "bad");
    }
    f.engine.run(f.request("step", 1, 0));
    CHECK(f.out == f.x);
}

TEST(engine_names_the_first_value_that_is_not_finite) {
    Fixture f;
    RunRequest request = f.request("step", std::numeric_limits<double>::infinity(), 0);
    request.check_finite = true;
    try {
        f.engine.run(request);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_NOT_FINITE");
        CHECK(error.op == "sgd");
        CHECK(error.value == "weight");
        CHECK(error.received == "NaN or infinity at element 0");
        CHECK(error.expected == "finite output");
    }
    f.engine.write("weight", 0, bytes_of(Floats{0, 0, 0, 0, std::nanf(""), 0}));
    request.scalars[0] = 0;
    try {
        f.engine.run(request);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.op == "add");
        CHECK(error.received == "NaN or infinity at element 4");
        CHECK(error.expected == "finite input");
    }
    f.engine.write("weight", 0, bytes_of(Floats(6, 1.0f)));
    f.engine.run(request);
    CHECK(f.out[5] == 7.0f);
}

TEST(engine_profile) {
    Fixture f;
    std::vector<double> microseconds(2, -1.0);
    RunRequest request = f.request("step", 0, 0);
    request.profile_us = microseconds;
    f.engine.run(request);
    CHECK(microseconds[0] >= 0.0);
    CHECK(microseconds[1] >= 0.0);
    request.profile_us = request.profile_us.first(1);
    CHECK(code_of([&] { f.engine.run(request); }) == "ERR_COMPACT_ARGUMENT");
}

TEST(engine_runs_groups) {
    Plan plan = small_plan();
    add_sums(plan);
    Fixture f(plan);
    f.engine.write("weight", 0, bytes_of(Floats(6, 10.0f)));
    Floats twice(6);
    RunRequest request = f.request("sums", 0, 0);
    request.outputs.push_back(bytes_of(twice));
    f.engine.run(request);  // the stub adds 1000 where it runs a group
    CHECK((f.out == Floats{1011, 1012, 1013, 1014, 1015, 1016}));
    CHECK((twice == Floats{1002, 1004, 1006, 1008, 1010, 1012}));
    // What is asked about single instructions is answered by running them one by one.
    const Floats expected = {11, 12, 13, 14, 15, 16};
    request.check_finite = true;
    f.engine.run(request);
    CHECK(f.out == expected);
    request.check_finite = false;
    std::vector<double> microseconds(2);
    request.profile_us = microseconds;
    f.engine.run(request);
    CHECK(f.out == expected);
    CHECK((microseconds == std::vector<double>{1, 1}));
    // The first member stands for the group.
    request.profile_us = {};
    std::fill(f.x.begin(), f.x.end(), 0.0f);
    try {
        f.engine.run(request);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_NATIVE");
        CHECK(error.layer == "layers.0");
        CHECK(error.entry == "sums");
    }
}

TEST(engine_checks_scalars_of_every_member) {
    Plan plan = small_plan();
    plan.arena_bytes = 1024;
    plan.values.push_back(f32_value("other", Region::kArena, {1, 3}, 768));
    PlanEntry& row = plan.entries[1];
    Instruction other = row.instructions[0];
    other.layer = "layers.1";
    other.outputs = {4};
    other.joins_previous = true;
    row.instructions[0].attributes = {{"row", -1, 0.0}};
    row.instructions.push_back(other);
    Fixture f(plan);
    Floats found(3);
    RunRequest request = f.request("row", 0, 2);
    request.outputs = {bytes_of(found)};
    try {
        f.engine.run(request);
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_INDEX");
        CHECK(error.layer == "layers.1");
    }
    request.scalars[1] = 1;
    f.engine.run(request);
}

TEST(engine_cancel_from_another_thread) {
    Fixture f;
    std::atomic<bool> started{false};
    std::string code;
    std::thread runner([&] {
        while (code.empty()) {
            code = code_of([&] { f.engine.run(f.request("step", 0, 0)); });
            started = true;
        }
    });
    while (!started) std::this_thread::yield();
    f.engine.cancel();
    runner.join();
    CHECK(code == "ERR_COMPACT_ABORTED");
}

TEST(engine_refuses_zero_threads) {
    EngineOptions options;
    options.threads = 0;
    Engine engine(stub_backend(), options);
    CHECK(code_of([&] { engine.open(); }) == "ERR_COMPACT_ARGUMENT");
}

}  // namespace compact::test
