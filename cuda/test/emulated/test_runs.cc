// Runs on the emulated device: recorded as graphs or not, one behind another, with P prepared on
// the side stream. Every way gives the same bits, and a failure belongs to the run that failed.
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cuda/emulation/host_runtime.h"
#include "cuda/runtime/backend_cuda.h"
#include "cuda/test/emulated/error_of.h"
#include "cuda/test/emulated/on_machine.h"
#include "cuda/test/emulated/runs_fixture.h"
#include "native/backend/call.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/test/check.h"
#include "native/test/plan_writer.h"

namespace compact::test {

using emulation::call_counts;

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

}  // namespace compact::test
