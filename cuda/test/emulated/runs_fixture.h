// An engine on the emulated device and a plan of a few instructions, whose steps are compared with
// those of an engine that does everything as it is enqueued.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "cuda/runtime/backend_cuda.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/test/plan_writer.h"

namespace compact::test {

// ---- A backend whose project can be made to do something else first

using Hook = std::function<CpStatus(CpError*)>;

inline Hook& hook() {
    static Hook instance;
    return instance;
}

inline const CpOp& cuda_op(const char* name) {
    const CpBackend* backend = compact_cuda_backend();
    return *std::find_if(backend->ops, backend->ops + backend->num_ops,
                         [&](const CpOp& op) { return std::strcmp(op.name, name) == 0; });
}

inline CpStatus hooked_project(CpDevice* device, const CpCall* call, CpError* error) {
    if (hook() && hook()(error) != CP_OK) return CP_FAILED;
    return cuda_op("project").run(device, call, error);
}

inline const CpBackend& hooked_backend() {
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

inline PlanAttribute scalar(const char* name, int32_t slot) { return {name, slot, 0.0}; }
inline PlanAttribute constant(const char* name, double value) { return {name, -1, value}; }

// step(ids): h = embedding(weight, ids); z = h P; weight -= learningRate P direction; sum = z + z.
// The second P is made while the first product runs, in bytes that the embedding has read until
// then; sum lies where the first P was.
inline Plan run_plan(bool prepared) {
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
inline Plan group_plan(bool grouped) {
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

inline std::span<uint8_t> bytes_of(Floats& values) {
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

inline constexpr int kSteps = 12;

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

inline Floats history(Fixture& fixture) {
    return history(fixture, [&](int step) -> const Floats& { return fixture.run(step); });
}

// No graph, nothing prepared, everything done when it is enqueued.
inline const Floats& expected() {
    static const Floats instance = [] {
        Fixture fixture("off", false);
        return history(fixture);
    }();
    return instance;
}

}  // namespace compact::test
