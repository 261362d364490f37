// What the CUDA backend says of machines that are not as they should be, and what it asks of the
// runtime while a plan runs. For the emulated machine only: a real one has no faults to order.
#include <cstring>
#include <string>
#include <vector>

#include "cuda/emulation/host_runtime.h"
#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/emulated/error_of.h"
#include "cuda/test/emulated/on_machine.h"
#include "cuda/test/options.h"
#include "native/backend/registry.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/test/check.h"
#include "native/test/plan_writer.h"

namespace compact::test {
namespace {

using emulation::Machine;

CpError open_error(int32_t index = 0) {
    CpDeviceOptions options{};
    options.index = index;
    CpDevice* device = nullptr;
    CpError error{};
    CHECK(compact_cuda_backend()->open(&options, &device, &error) == CP_FAILED);
    CHECK(device == nullptr);
    return error;
}

// The machine's problem, which open() must give back word for word.
std::string problem_of(const Machine& machine) {
    const OnMachine on(machine);
    CpBackendInfo info;
    compact_cuda_backend()->describe(&info);
    std::string problem = info.problem;
    if (problem.empty() && info.num_devices > 0) {
        compact_cuda_backend()->probe(0, &info.devices[0]);
        problem = info.devices[0].problem;
    }
    const CpError error = open_error();
    CHECK(std::strcmp(error.code, "ERR_COMPACT_DEVICE_UNAVAILABLE") == 0);
    CHECK(problem == error.received);
    return problem;
}

Plan add_plan(int64_t elements, const char* device = "cuda-emulated") {
    const auto value = [&](const char* name, Region region, int64_t offset) {
        PlanValue result;
        result.name = name;
        result.region = region;
        result.num_dims = 1;
        result.shape[0] = elements;
        result.offset = offset;
        result.bytes = 4 * elements;
        return result;
    };
    Plan plan;
    plan.device = device;
    plan.persistent_bytes = 4 * elements;
    plan.arena_bytes = 8 * elements;
    plan.values = {value("weight", Region::kPersistent, 0), value("x", Region::kArena, 0),
                   value("sum", Region::kArena, 4 * elements)};
    Instruction add;
    add.op = "add";
    add.inputs = {0, 1};
    add.outputs = {2};
    PlanEntry entry;
    entry.name = "step";
    entry.inputs = {1};
    entry.outputs = {2};
    entry.instructions = {add, add, add};
    plan.entries = {entry};
    return plan;
}

// An engine whose plan is one vector addition.
struct Fixture {
    Engine engine;
    std::vector<float> x, sum;

    explicit Fixture(int32_t device_index = 0, int64_t elements = 64,
                     const CpBackend& backend = *compact_cuda_backend())
        : engine(backend, options(device_index)),
          x(static_cast<size_t>(elements), 1.0f),
          sum(static_cast<size_t>(elements)) {
        engine.open();
        engine.load(PlanWriter::encode(add_plan(elements, backend.name)));
    }
    static EngineOptions options(int32_t device_index) {
        EngineOptions result;
        result.device_index = device_index;
        result.threads = 1;
        return result;
    }
    void step() {
        RunRequest request;
        request.entry = "step";
        request.inputs = {{reinterpret_cast<const uint8_t*>(x.data()), x.size() * 4}};
        request.outputs = {{reinterpret_cast<uint8_t*>(sum.data()), sum.size() * 4}};
        engine.run(request);
    }
};

}  // namespace

TEST(cuda_says_what_is_wrong_with_a_machine) {
    CHECK(problem_of({.driver = 0}) == "no NVIDIA driver was found");
    CHECK(problem_of({.driver = 12080}) ==
          "the driver is for CUDA 12.8; CUDA 13.0 needs the 580 series or newer");
    CHECK(problem_of({.devices = 0}) == "the driver shows no GPU");
    CHECK(problem_of({.capability = 75}) == "compute capability 7.5; 8.0 or newer is needed");
    CHECK(problem_of({.idle = true}) == "a probe kernel of 1 KB gave wrong results");
    const OnMachine on({.devices = 2});
    CHECK(std::string(open_error(9).received) == "cuda:9");
    CHECK(std::string(open_error(9).expected) == "a device number from 0 to 1");
}

TEST(cuda_describes_without_taking_anything) {
    const OnMachine on({.devices = 3});
    const int64_t free_before = emulation::free_bytes(2);
    CpBackendInfo info;
    compact_cuda_backend()->describe(&info);
    CHECK(info.num_devices == 3 && info.devices[2].compute_capability == 80);
    CHECK(emulation::free_bytes(2) == free_before);
    compact_cuda_backend()->probe(2, &info.devices[2]);
    CHECK(info.devices[2].free_bytes == free_before - emulation::kContextBytes);
}

TEST(cuda_reports_what_is_free_when_there_is_too_little) {
    if (is_reduced()) return skip("gigabytes are slow to watch, and no kernel runs");
    const int64_t total = emulation::kContextBytes + (int64_t{40} << 20);
    {
        const OnMachine on({.devices = 5, .memory_bytes = total, .others_bytes = total - 4096});
        CHECK(std::strcmp(open_error(4).code, "ERR_COMPACT_OUT_OF_MEMORY") == 0);
    }
    const OnMachine on({.devices = 5, .memory_bytes = total});
    Fixture small(4);
    CHECK(small.engine.memory().overhead_bytes == emulation::kContextBytes);
    const int64_t free_bytes = emulation::free_bytes(4);
    CHECK(small.engine.memory().free_bytes == free_bytes + 3 * 256);  // when it was opened
    const Error error = error_of([] { Fixture(4, int64_t{1} << 22); });
    CHECK(error.code == "ERR_COMPACT_OUT_OF_MEMORY" && error.op == "the arena");
    CHECK(error.expected == std::to_string(int64_t{1} << 25) + " bytes");
    CHECK(emulation::free_bytes(4) == free_bytes);
    small.step();
    CHECK(small.sum[63] == 1.0f);
}

TEST(cuda_engines_give_all_of_it_back) {
    Fixture first;
    const int64_t free_bytes = emulation::free_bytes(0);
    for (int i = 0; i < 200; ++i) {
        Fixture fixture;
        fixture.step();
    }
    CHECK(emulation::free_bytes(0) == free_bytes);
}

TEST(cuda_steps_neither_allocate_nor_wait) {
    Fixture fixture(0, 1024);
    fixture.step();
    const emulation::CallCounts before = emulation::call_counts();
    fixture.step();
    const emulation::CallCounts after = emulation::call_counts();
    CHECK(after.launches - before.launches == 3);
    CHECK(after.allocations == before.allocations);
    CHECK(after.event_waits - before.event_waits == 2);  // the staging of the input, the end
    CHECK(after.synchronizations == before.synchronizations);
}

TEST(cuda_device_that_fails_is_lost_for_its_engine_alone) {
    const OnMachine on({.devices = 7});
    Fixture whole(0, 64, *compact_cpu_backend()), broken(6);
    emulation::set_machine({.devices = 7, .fail_launch = 2});
    const Error error = error_of([&] { broken.step(); });
    CHECK(error.code == "ERR_COMPACT_DEVICE_LOST");
    CHECK(error.received.find("cudaErrorLaunchFailure") == 0);
    uint8_t byte = 0;
    CHECK(error_of([&] { broken.step(); }).code == "ERR_COMPACT_DEVICE_LOST");
    CHECK(error_of([&] {
              broken.engine.read("weight", 0, {&byte, 1});
          }).code == "ERR_COMPACT_DEVICE_LOST");
    CHECK(error_of([&] {
              broken.engine.write("weight", 0, {&byte, 1});
          }).code == "ERR_COMPACT_DEVICE_LOST");
    CHECK(error_of([&] { broken.engine.load(PlanWriter::encode(add_plan(64))); }).code ==
          "ERR_COMPACT_DEVICE_LOST");
    CHECK(std::string(open_error(6).received).find("cudaErrorLaunchFailure") == 0);
    whole.step();
    CHECK(whole.sum[0] == 1.0f);
    broken.engine.close();
    whole.step();
}

}  // namespace compact::test
