// Runs on the emulated device: recorded as graphs or not, one behind another, with P prepared on
// the side stream. Every way gives the same bits, and a failure belongs to the run that failed.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/backend_cuda.h"
#include "cuda/emulation/host_runtime.h"
#include "native/backend/call.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/test/check.h"
#include "native/test/plan_writer.h"

namespace compact::test {
namespace {

using emulation::call_counts;
using emulation::Machine;

class OnMachine {
  public:
    explicit OnMachine(const Machine& machine) { emulation::set_machine(machine); }
    ~OnMachine() { emulation::set_machine({}); }
    OnMachine(const OnMachine&) = delete;
    OnMachine& operator=(const OnMachine&) = delete;
};

// ---- A backend whose project can be made to do something else first

using Hook = std::function<CpStatus(CpError*)>;

Hook& hook() {
    static Hook instance;
    return instance;
}

const CpOp& cuda_op(const char* name) {
    const CpBackend* backend = compact_cuda_backend();
    return *std::find_if(backend->ops, backend->ops + backend->num_ops,
                         [&](const CpOp& op) { return std::strcmp(op.name, name) == 0; });
}

CpStatus hooked_project(CpDevice* device, const CpCall* call, CpError* error) {
    if (hook() && hook()(error) != CP_OK) return CP_FAILED;
    return cuda_op("project").run(device, call, error);
}

const CpBackend& hooked_backend() {
    static const std::vector<CpOp> ops = [] {
        const CpBackend* backend = compact_cuda_backend();
        std::vector<CpOp> all(backend->ops, backend->ops + backend->num_ops);
        for (CpOp& op : all)
            if (std::strcmp(op.name, "project") == 0) op.run = hooked_project;
        return all;
    }();
    static const CpBackend backend = [] {
        CpBackend result = *compact_cuda_backend();
        result.ops = ops.data();
        return result;
    }();
    return backend;
}

// For as long as it lives.
class WithHook {
  public:
    explicit WithHook(Hook work) { hook() = std::move(work); }
    ~WithHook() { hook() = nullptr; }
    WithHook(const WithHook&) = delete;
    WithHook& operator=(const WithHook&) = delete;
};

// ---- A plan

PlanAttribute scalar(const char* name, int32_t slot) { return {name, slot, 0.0}; }
PlanAttribute constant(const char* name, double value) { return {name, -1, value}; }

// step(ids): h = embedding(weight, ids); z = h P; weight -= learningRate P direction; sum = z + z.
// The second P is made while the first product runs, in bytes that the embedding has read until
// then; sum lies where the first P was.
Plan run_plan(bool prepared) {
    Plan plan;
    plan.device = "cuda-emulated";
    plan.persistent_bytes = 1536;
    plan.arena_bytes = 1536;
    plan.scalars = {"learningRate", "epoch"};
    PlanValue ids = f32_value("ids", Region::kArena, {4}, 0);
    ids.dtype = CP_I32;
    plan.values = {f32_value("weight", Region::kPersistent, {16, 16}, 0),
                   f32_value("direction", Region::kPersistent, {8, 16}, 1024),
                   ids,
                   f32_value("h", Region::kArena, {4, 16}, 256),
                   f32_value("z", Region::kArena, {4, 8}, 512),
                   f32_value("sum", Region::kArena, {4, 8}, 1024)};
    Instruction embedding, project, update, add;
    embedding.op = "embedding";
    embedding.inputs = {0, 2};
    embedding.outputs = {3};
    project.op = "project";
    project.inputs = {3};
    project.outputs = {4};
    project.attributes = {constant("seedLow", 7), constant("seedHigh", 0), constant("tensorId", 3),
                          scalar("epoch", 1)};
    project.workspace_offset = 1024;
    project.workspace_bytes = 256;
    project.prepared_ahead = prepared;
    update.op = "projectBackUpdate";
    update.inputs = {0, 1};
    update.outputs = {0};
    update.attributes = project.attributes;
    update.attributes.push_back(scalar("learningRate", 0));
    update.workspace_offset = 0;
    update.workspace_bytes = 256;
    update.prepared_ahead = prepared;
    add.op = "add";
    add.inputs = {4, 4};
    add.outputs = {5};
    PlanEntry entry;
    entry.name = "step";
    entry.inputs = {2};
    entry.outputs = {5};
    entry.instructions = {embedding, project, update, add};
    plan.entries = {entry};
    return plan;
}

// The same with another weight, updated by the same P at the same time.
Plan group_plan(bool grouped) {
    Plan plan = run_plan(grouped);
    plan.persistent_bytes = 2560;
    plan.values.push_back(f32_value("other", Region::kPersistent, {16, 16}, 1536));
    auto& instructions = plan.entries[0].instructions;
    Instruction update = instructions[2];
    update.inputs[0] = update.outputs[0] = 6;
    update.workspace_offset = 768;
    update.prepared_ahead = false;
    update.joins_previous = grouped;
    instructions.insert(instructions.begin() + 3, update);
    return plan;
}

using Floats = std::vector<float>;

std::span<uint8_t> bytes_of(Floats& values) {
    return {reinterpret_cast<uint8_t*>(values.data()), values.size() * 4};
}

struct Fixture {
    Engine engine;
    std::vector<int32_t> ids[2] = {std::vector<int32_t>(4), std::vector<int32_t>(4)};
    Floats sums[2] = {Floats(32), Floats(32)};
    uint8_t cancelled = 0;

    explicit Fixture(const char* graphs, bool prepared = true)
        : engine(hooked_backend(), options(graphs)) {
        engine.open();
        load(prepared);
    }
    static EngineOptions options(const char* graphs) {
        EngineOptions result;
        result.graphs = graphs;
        return result;
    }
    void load(bool prepared = true) { load(run_plan(prepared)); }
    void load(const Plan& plan) {
        engine.load(PlanWriter::encode(plan));
        Floats weight(256), direction(128);
        for (size_t i = 0; i < weight.size(); ++i) weight[i] = 0.125f * float(i % 23) - 1.0f;
        for (size_t i = 0; i < direction.size(); ++i) direction[i] = 0.5f - 0.25f * float(i % 5);
        engine.write("weight", 0, bytes_of(weight));
        engine.write("direction", 0, bytes_of(direction));
    }
    // Step number `step`, with ids, learning rate and epoch of its own.
    RunRequest request(int step, int32_t bad_id = 0) {
        const int turn = step % 2;
        for (int i = 0; i < 4; ++i) ids[turn][static_cast<size_t>(i)] = (3 * step + 5 * i) % 16;
        if (bad_id != 0) ids[turn][2] = bad_id;
        RunRequest result;
        result.entry = "step";
        result.scalars = {0.01 * (step + 1), static_cast<double>(step / 3)};
        result.inputs = {{reinterpret_cast<const uint8_t*>(ids[turn].data()), 16}};
        result.outputs = {bytes_of(sums[turn])};
        result.cancelled = &cancelled;
        return result;
    }
    const Floats& run(int step) {
        engine.run(request(step));
        return sums[step % 2];
    }
    Floats weight() {
        Floats values(256);
        engine.read("weight", 0, bytes_of(values));
        return values;
    }
    EntryGraphs graphs() const { return engine.graphs().at(0); }
};

constexpr int kSteps = 12;

// The sums of all steps, then the weight.
template <class Run>
Floats history(Fixture& fixture, Run&& run) {
    Floats all;
    for (int step = 0; step < kSteps; ++step) {
        const Floats& sum = run(step);
        all.insert(all.end(), sum.begin(), sum.end());
    }
    const Floats weight = fixture.weight();
    all.insert(all.end(), weight.begin(), weight.end());
    return all;
}

Floats history(Fixture& fixture) {
    return history(fixture, [&](int step) -> const Floats& { return fixture.run(step); });
}

// No graph, nothing prepared, everything done when it is enqueued.
const Floats& expected() {
    static const Floats instance = [] {
        Fixture fixture("off", false);
        return history(fixture);
    }();
    return instance;
}

template <class Body>
Error error_of(Body&& body) {
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    return {"", "", "", ""};
}

}  // namespace

TEST(cuda_recorded_runs_equal_plain_ones) {
    for (bool lazy : {false, true}) {
        for (const char* graphs : {"off", "on", "auto"}) {
            for (bool prepared : {false, true}) {
                const Floats& plain = expected();
                const OnMachine on({.lazy = lazy});
                const auto before = call_counts();
                Fixture fixture(graphs, prepared);
                CHECK(history(fixture) == plain);
                const int64_t launches = call_counts().graph_launches - before.graph_launches;
                const std::string mode = graphs;
                if (mode == "off") CHECK(launches == 0 && fixture.graphs().state == "off");
                if (mode == "on") CHECK(launches == kSteps - 1 && fixture.graphs().state == "on");
                if (mode == "auto") {
                    CHECK(launches == 4 || launches == kSteps - 4);
                    CHECK(fixture.graphs().state == (launches == 4 ? "off" : "on"));
                    CHECK(fixture.graphs().plain_ms > 0.0 && fixture.graphs().recorded_ms > 0.0);
                }
                CHECK(call_counts().instantiations - before.instantiations == (launches > 0));
                fixture.engine.close();
                CHECK(call_counts().graphs_alive == before.graphs_alive);
            }
        }
    }
}

TEST(cuda_graphs_are_made_anew_where_an_update_is_refused) {
    const Floats& plain = expected();
    const OnMachine on({.refuse_updates = true});
    const auto before = call_counts();
    Fixture fixture("on");
    CHECK(history(fixture) == plain);
    CHECK(call_counts().instantiations - before.instantiations == kSteps - 1);
    CHECK(call_counts().graphs_alive - before.graphs_alive == 1);
}

TEST(cuda_runs_that_cannot_be_recorded_are_plain_and_say_why) {
    const Floats& plain = expected();
    {
        const OnMachine on({.refuse_graphs = true});
        Fixture fixture("on");
        CHECK(history(fixture) == plain);
        CHECK(fixture.graphs().state == "off");
        CHECK(fixture.graphs().problem.find("run: ") == 0);
    }
    // At each of the things that a run gives to its stream.
    for (int64_t n = 1; n <= 6; ++n) {
        const auto before = call_counts();
        const OnMachine on({.lazy = n % 2 == 0, .fail_capture = n});
        Fixture fixture("on");
        CHECK(history(fixture) == plain);
        CHECK(fixture.graphs().state == "off");
        CHECK(fixture.graphs().problem.find("cudaErrorStreamCapture") != std::string::npos);
        CHECK(call_counts().graph_launches == before.graph_launches);
        CHECK(call_counts().graphs_alive == before.graphs_alive);
        // Another plan is another chance.
        fixture.load();
        CHECK(history(fixture) == plain);
        CHECK(fixture.graphs().state == "on" && fixture.graphs().problem.empty());
    }
}

TEST(cuda_diagnoses_are_not_recorded) {
    Fixture fixture("on");
    fixture.run(0);
    const auto before = call_counts();
    std::vector<double> microseconds(4, -1.0);
    RunRequest request = fixture.request(1);
    request.profile_us = microseconds;
    fixture.engine.run(request);
    CHECK(*std::min_element(microseconds.begin(), microseconds.end()) >= 0.0);
    request = fixture.request(2);
    request.check_finite = true;
    fixture.engine.run(request);
    CHECK(call_counts().graph_launches == before.graph_launches);
    fixture.run(3);
    CHECK(call_counts().graph_launches == before.graph_launches + 1);
}

TEST(cuda_ops_that_fail_end_the_recording) {
    Fixture fixture("on");
    Floats all;
    int calls = 0;
    const Floats found = history(fixture, [&](int step) -> const Floats& {
        for (const char* code : {"ERR_COMPACT_INDEX", "ERR_COMPACT_NATIVE"}) {
            const auto before = call_counts();
            calls = 0;
            const WithHook with([&](CpError* error) {
                ++calls;
                return fail(error, code, "project", "success", "failure on purpose");
            });
            // What has been enqueued by then is the embedding, which changes nothing.
            const Error error = error_of([&] { fixture.run(step); });
            CHECK(error.code == code && error.op == "project" && error.entry == "step");
            // The runtime's failures alone may be those of the recording.
            CHECK(calls == (step > 0 && std::string(code) == "ERR_COMPACT_NATIVE" ? 2 : 1));
            CHECK(call_counts().graph_launches == before.graph_launches);
        }
        return fixture.run(step);
    });
    CHECK(found == expected());
    CHECK(fixture.graphs().state == "on" && fixture.graphs().problem.empty());
}

TEST(cuda_abort_discards_what_is_recorded) {
    Fixture fixture("on");
    const Floats found = history(fixture, [&](int step) -> const Floats& {
        if (step > 0) {
            const auto before = call_counts();
            const WithHook with([&](CpError*) {
                fixture.cancelled = 1;
                return CP_OK;
            });
            CHECK(error_of([&] { fixture.run(step); }).code == "ERR_COMPACT_ABORTED");
            CHECK(call_counts().launches == before.launches);
            fixture.cancelled = 0;
        }
        // Nothing is left of what was prepared: a diagnosis prepares nothing.
        RunRequest request = fixture.request(step);
        request.check_finite = step % 3 == 1;
        fixture.engine.run(request);
        return fixture.sums[step % 2];
    });
    CHECK(found == expected());
    // A plain run that has begun completes.
    Fixture plain("off");
    const WithHook with([&](CpError*) {
        plain.cancelled = 1;
        return CP_OK;
    });
    plain.run(0);
    CHECK(error_of([&] { plain.run(1); }).code == "ERR_COMPACT_ABORTED");
}

TEST(cuda_runs_behind_runs_give_the_same) {
    for (bool lazy : {false, true}) {
        for (const char* graphs : {"off", "on", "auto"}) {
            const Floats& plain = expected();
            const OnMachine on({.lazy = lazy});
            Fixture fixture(graphs);
            fixture.engine.start(fixture.request(0));
            const Floats found = history(fixture, [&](int step) -> const Floats& {
                const auto before = call_counts();
                if (step + 1 < kSteps) fixture.engine.start(fixture.request(step + 1));
                // Enqueued without waiting for the run before, but for the staging of its inputs.
                CHECK(call_counts().synchronizations == before.synchronizations);
                CHECK(fixture.engine.num_in_flight() == (step + 1 < kSteps ? 2u : 1u));
                fixture.engine.finish();
                return fixture.sums[step % 2];
            });
            CHECK(found == plain);
        }
    }
}

TEST(cuda_errors_belong_to_their_run) {
    for (bool lazy : {false, true}) {
        for (const char* graphs : {"off", "on"}) {
            const OnMachine on({.lazy = lazy});
            Fixture fixture(graphs);
            fixture.run(0);
            for (int bad = 0; bad < 2; ++bad) {
                fixture.engine.start(fixture.request(2, bad == 0 ? 99 : 0));
                fixture.engine.start(fixture.request(3, bad == 1 ? 98 : 0));
                for (int turn = 0; turn < 2; ++turn) {
                    const Error error = error_of([&] { fixture.engine.finish(); });
                    CHECK(error.code == (turn == bad ? "ERR_COMPACT_INDEX" : ""));
                    if (turn == bad)
                        CHECK(error.received.find(bad == 0 ? "99" : "98") != std::string::npos);
                }
            }
            // The run behind cannot even be enqueued.
            fixture.engine.start(fixture.request(4, 97));
            {
                const WithHook with([](CpError* error) {
                    return fail(error, "ERR_COMPACT_SHAPE", "project", "success", "on purpose");
                });
                CHECK(error_of([&] { fixture.engine.start(fixture.request(5)); }).code ==
                      "ERR_COMPACT_SHAPE");
            }
            CHECK(error_of([&] { fixture.engine.finish(); }).received.find("97") !=
                  std::string::npos);
            CHECK(fixture.engine.num_in_flight() == 0);
            fixture.run(6);
        }
    }
}

TEST(cuda_fault_in_a_graph_loses_the_device) {
    for (bool lazy : {false, true}) {
        const OnMachine on({.devices = 1, .lazy = lazy});
        Fixture fixture("on");
        fixture.run(0);
        fixture.run(1);
        emulation::set_machine({.fail_launch = 3, .lazy = lazy});
        // Seen as soon as something is asked of the device, which a lazy one has not done by then.
        const Error error = error_of([&] {
            fixture.engine.start(fixture.request(2));
            fixture.engine.start(fixture.request(3));
            fixture.engine.finish();
        });
        CHECK(error.code == "ERR_COMPACT_DEVICE_LOST");
        CHECK(error.received.find("cudaErrorLaunchFailure") == 0);
        CHECK(fixture.engine.num_in_flight() == (lazy ? 1u : 0u));
        if (lazy)
            CHECK(error_of([&] { fixture.engine.finish(); }).code == "ERR_COMPACT_DEVICE_LOST");
        CHECK(error_of([&] { fixture.run(4); }).code == "ERR_COMPACT_DEVICE_LOST");
        fixture.engine.close();
    }
}

TEST(cuda_graphs_end_with_their_plan) {
    const Floats& plain = expected();
    const auto before = call_counts();
    for (bool lazy : {false, true}) {
        const OnMachine on({.lazy = lazy});
        Fixture fixture("on"), other("on");
        for (int round = 0; round < 3; ++round) {
            // A run is still in flight when the plan goes.
            fixture.engine.start(fixture.request(0));
            fixture.load();
            CHECK(fixture.engine.num_in_flight() == 0);
            CHECK(call_counts().graphs_alive - before.graphs_alive == (round > 0 ? 1 : 0));
            const Floats found = history(fixture, [&](int step) -> const Floats& {
                other.run(step);
                return fixture.run(step);
            });
            CHECK(found == plain);
            CHECK(call_counts().graphs_alive - before.graphs_alive == 2);
        }
        fixture.engine.start(fixture.request(0));
        fixture.engine.close();
        other.run(3);
        CHECK(call_counts().graphs_alive - before.graphs_alive == 1);
    }
    CHECK(call_counts().graphs_alive == before.graphs_alive);
}

// A panel that is made ahead is there for all of a group.
TEST(cuda_groups_are_prepared) {
    const auto weights = [](const char* graphs, bool grouped) {
        Fixture fixture(graphs);
        fixture.load(group_plan(grouped));
        Floats all = history(fixture), other(256);
        fixture.engine.read("other", 0, bytes_of(other));
        all.insert(all.end(), other.begin(), other.end());
        return all;
    };
    const Floats one_by_one = weights("off", false);
    CHECK(Floats(one_by_one.begin(), one_by_one.end() - 256) == expected());
    for (bool lazy : {false, true}) {
        const OnMachine on({.lazy = lazy});
        for (const char* graphs : {"off", "on"}) CHECK(weights(graphs, true) == one_by_one);
    }
}

TEST(cuda_prepared_workspaces_are_checked) {
    const auto refusal = [](const std::function<void(std::vector<Instruction>&)>& change,
                            Plan plan = run_plan(true)) {
        Fixture fixture("off");
        change(plan.entries[0].instructions);
        const Error error = error_of([&] { fixture.engine.load(PlanWriter::encode(plan)); });
        CHECK(error.code == "ERR_COMPACT_PLAN_INVALID");
        return error.op + ": " + error.expected;
    };
    CHECK(refusal([](auto& all) { all[3].prepared_ahead = true; }, group_plan(true)) ==
          "projectBackUpdate: preparation of the first of a group alone");
    // Beside every member of the group before.
    CHECK(refusal([](auto& all) { all[4] = all[2]; }, group_plan(true)) ==
          "projectBackUpdate: a workspace prepared ahead, apart from the workspace of "
          "projectBackUpdate");
    CHECK(refusal([](auto& all) { std::swap(all[0], all[1]); }) ==
          "project: an instruction before the one that is prepared ahead");
    CHECK(refusal([](auto& all) { all[3].prepared_ahead = true; }) ==
          "add: no preparation on this device");
    CHECK(refusal([](auto& all) { all[1].workspace_offset = 0; }) ==
          "project: a workspace prepared ahead, apart from ids of embedding");
    CHECK(refusal([](auto& all) { all[2].workspace_offset = 512; }) ==
          "projectBackUpdate: a workspace prepared ahead, apart from z of project");
    CHECK(refusal([](auto& all) { all[2].workspace_offset = 1024; }) ==
          "projectBackUpdate: a workspace prepared ahead, apart from the workspace of project");
}

// ---- The emulation itself

TEST(cuda_emulated_captures_catch_misuse) {
    cudaStream_t stream = nullptr, side = nullptr;
    cudaEvent_t event = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    CHECK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking) == cudaSuccess);
    CHECK(cudaEventCreate(&event) == cudaSuccess);
    int source = 1, target = 0;
    const auto copy = [&](cudaStream_t to) {
        return cudaMemcpyAsync(&target, &source, sizeof source, cudaMemcpyHostToHost, to);
    };
    const auto captured = [&](const std::function<void()>& work) {
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
        work();
        const cudaError_t status = cudaStreamEndCapture(stream, &graph);
        CHECK((graph != nullptr) == (status == cudaSuccess));
        if (graph != nullptr) cudaGraphDestroy(graph);
        cudaGetLastError();
        return status;
    };
    const cudaError_t unsupported = cudaErrorStreamCaptureUnsupported;
    const cudaError_t invalidated = cudaErrorStreamCaptureInvalidated;
    CHECK(captured([&] { CHECK(copy(stream) == cudaSuccess && target == 0); }) == cudaSuccess);
    CHECK(captured([&] { CHECK(cudaStreamSynchronize(stream) == unsupported); }) == invalidated);
    CHECK(captured([&] { CHECK(cudaStreamQuery(stream) == unsupported); }) == invalidated);
    void* memory = nullptr;
    CHECK(captured([&] { CHECK(cudaMalloc(&memory, 16) == unsupported); }) == invalidated);
    CHECK(captured([&] {
              CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) ==
                    cudaErrorIllegalState);
          }) == cudaSuccess);
    CHECK(cudaEventRecord(event, side) == cudaSuccess);
    CHECK(captured([&] {
              CHECK(cudaStreamWaitEvent(stream, event) == cudaErrorStreamCaptureIsolation);
          }) == invalidated);
    const auto fork = [&] {
        cudaEventRecord(event, stream);
        cudaStreamWaitEvent(side, event);
        CHECK(copy(side) == cudaSuccess);
    };
    CHECK(captured(fork) == cudaErrorStreamCaptureUnjoined);
    CHECK(captured([&] {
              fork();
              cudaEventRecord(event, side);
              CHECK(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
              cudaStreamWaitEvent(stream, event);
          }) == cudaSuccess);
    CHECK(target == 0 && copy(side) == cudaSuccess && target == 1);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
    cudaEventDestroy(event);
    cudaStreamDestroy(side);
    cudaStreamDestroy(stream);
    cudaGetLastError();
}

TEST(cuda_emulated_lazy_streams_wait_to_be_waited_for) {
    const OnMachine on({.lazy = true});
    cudaStream_t stream = nullptr, side = nullptr;
    cudaEvent_t event = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
    cudaEventCreate(&event);
    int one = 1, two = 2, target = 0;
    const auto copy = [&](int& source, cudaStream_t to) {
        cudaMemcpyAsync(&target, &source, sizeof source, cudaMemcpyHostToHost, to);
    };
    copy(one, side);
    cudaEventRecord(event, side);
    CHECK(target == 0 && cudaEventQuery(event) == cudaErrorNotReady);
    cudaStreamWaitEvent(stream, event);
    copy(two, stream);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady && target != 2);
    cudaStreamSynchronize(stream);
    CHECK(target == 2 && cudaEventQuery(event) == cudaSuccess);
    cudaEventDestroy(event);
    cudaStreamDestroy(side);
    cudaStreamDestroy(stream);
}

}  // namespace compact::test
