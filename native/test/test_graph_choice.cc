#include "native/core/error.h"
#include "native/core/graph_choice.h"
#include "native/test/check.h"

namespace compact::test {
namespace {

// Notes the next run of entry 0 and returns whether it was to be recorded.
bool next_run(GraphChoice& choice, double plain_ms, double recorded_ms) {
    const bool recorded = choice.is_recorded(0);
    choice.note(0, recorded, recorded ? recorded_ms : plain_ms);
    return recorded;
}

}  // namespace

TEST(graph_choice_auto_keeps_the_faster) {
    for (const bool is_faster : {false, true}) {
        GraphChoice choice(GraphMode::kAuto);
        choice.reset({"step", "evaluate"});
        // The first of each kind counts for nothing: code is loaded, the graph is made.
        const double recorded_ms[] = {900, 3, is_faster ? 3.0 : 9.0, is_faster ? 4.0 : 5.5};
        const double plain_ms[] = {0.5, 4, 700, 5};
        for (const double ms : plain_ms) {
            CHECK(choice.report()[0].state == "measuring");
            CHECK(!next_run(choice, ms, 0));
        }
        for (const double ms : recorded_ms) CHECK(next_run(choice, 0, ms));
        for (int i = 0; i < 3; ++i) CHECK(next_run(choice, 1, 1000) == is_faster);
        const EntryGraphs found = choice.report()[0];
        CHECK(found.state == (is_faster ? "on" : "off") && found.problem.empty());
        CHECK(found.plain_ms == 5.0 && found.recorded_ms == (is_faster ? 3.0 : 5.5));
        CHECK(choice.report()[1].state == "measuring" && !choice.is_recorded(1));
    }
}

TEST(graph_choice_on_and_off) {
    GraphChoice on(GraphMode::kOn), off(GraphMode::kOff);
    for (GraphChoice* choice : {&on, &off}) choice->reset({"step"});
    CHECK(!next_run(on, 1, 1) && next_run(on, 1, 9) && next_run(on, 1, 9));
    CHECK(!next_run(off, 1, 1) && !next_run(off, 9, 1) && off.report()[0].state == "off");
    on.refuse(0, "why");
    CHECK(!on.is_recorded(0) && on.report()[0].state == "off" && on.report()[0].problem == "why");
    on.reset({"step"});
    CHECK(!next_run(on, 1, 1) && next_run(on, 1, 1) && on.report()[0].problem.empty());
    try {
        graph_mode("yes");
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.code == "ERR_COMPACT_ARGUMENT" && error.received == "yes");
    }
}

}  // namespace compact::test
