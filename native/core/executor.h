// Runs the entries of one loaded plan.
//
// A run is started, which enqueues it, and finished, which waits for its end. On a device whose ops
// go on after they return a second run may be started behind the first; elsewhere a run is done
// when start() returns. Belongs to one thread at a time. Failures throw Error, with entry and layer
// where they are known; the run that failed is over then.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "native/core/graph_choice.h"
#include "native/core/plan.h"

namespace compact {

struct RunRequest {
    std::string entry;
    std::vector<double> scalars;                   // in slot order
    std::vector<std::span<const uint8_t>> inputs;  // in the order of the entry
    std::vector<std::span<uint8_t>> outputs;       // filled when the run is finished
    bool check_finite = false;
    std::span<double> profile_us;  // one per instruction, or empty
    // Set to 1 from any thread: the run ends with ERR_COMPACT_ABORTED, if the device has not begun.
    uint8_t* cancelled = nullptr;

    // Such a run shares the device with no other, is never recorded, and does one thing at a time.
    bool is_diagnosis() const { return check_finite || !profile_us.empty(); }
};

class Executor {
  public:
    // Sets the plan's graphs up. `cancelled` ends runs between two instructions.
    Executor(const CpBackend& backend, CpDevice* device, const Plan& plan, void* persistent,
             void* arena, GraphChoice& graphs, const std::atomic<bool>& cancelled);
    // Waits for what is in flight and forgets it.
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    // At most one run may be in flight; none, when either of the two is a diagnosis.
    void start(const RunRequest& request);
    size_t num_in_flight() const { return in_flight_.size(); }
    // Whether finish() would not wait.
    bool is_done();
    // Ends the oldest run. Returns the milliseconds from its start, or the end of the run before
    // it.
    double finish();

  private:
    using Clock = std::chrono::steady_clock;
    struct Run {
        size_t entry = 0;
        int32_t slot = 0;
        bool recorded = false;
        bool is_diagnosis = false;
        std::vector<CpOutput> outputs;
        Clock::time_point begin;
        std::optional<double> duration_ms;  // of a run that is done when it has started
    };

    size_t find_entry(const RunRequest& request) const;
    std::vector<CpOutput> outputs_of(const PlanEntry& entry, const RunRequest& request) const;
    void* address(const PlanValue& value) const;
    void enqueue(Run& run, const RunRequest& request);
    bool record(const Run& run, const RunRequest& request, std::string& problem);
    void begin(int32_t slot, int32_t recorded_entry);
    void execute_all(const PlanEntry& entry, const RunRequest& request, bool recorded);
    void prepare(const PlanEntry& entry, const Instruction& instruction, const RunRequest& request);
    void execute(const PlanEntry& entry, const Instruction& instruction, const RunRequest& request);
    void execute_group(const PlanEntry& entry, std::span<const Instruction> members,
                       const RunRequest& request);
    CpCall resolved_call(const Instruction& instruction, const RunRequest& request) const;
    void throw_if_cancelled(const PlanEntry& entry, const RunRequest& request) const;
    void check_inputs_finite(const PlanEntry& entry, const Instruction& instruction,
                             const CpCall& call) const;
    void check_outputs_finite(const PlanEntry& entry, const Instruction& instruction,
                              const CpCall& call) const;
    void mark(int32_t slot);
    void read_profile(std::span<double> profile_us);
    void synchronize();

    const CpBackend& backend_;
    CpDevice* const device_;
    const Plan& plan_;
    void* const persistent_;
    void* const arena_;
    GraphChoice& graphs_;
    const std::atomic<bool>& cancelled_;
    std::deque<Run> in_flight_;
    int32_t next_slot_ = 0;
    Clock::time_point last_end_;
};

}  // namespace compact
