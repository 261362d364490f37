// Executes plans on one device. Owns exactly two blocks of device memory: the persistent region and
// the arena of the plan that is loaded.
//
// All members but cancel(), memory() and graphs() belong to one thread at a time (the binding's
// work queue). Failures throw Error; after any of them the engine can go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "native/core/executor.h"
#include "native/core/graph_choice.h"
#include "native/core/plan.h"
#include "native/core/rows_request.h"

namespace compact {

struct EngineOptions {
    int32_t device_index = 0;
    int32_t threads = 1;
    std::string instruction_set = "auto";
    std::string blas = "own";
    std::string graphs = "auto";     // "off", "on" or "auto": graph_choice.h
    int64_t memory_limit_bytes = 0;  // 0: none
};

struct EngineMemory {
    int64_t persistent_bytes = 0;
    int64_t arena_bytes = 0;
    int64_t allocated_bytes = 0;  // what the device has given this engine
    int64_t overhead_bytes = 0;   // what the device lost beside, by being opened
    int64_t free_bytes = 0;       // of the device, after it was opened or had refused a plan
};

class Engine {
  public:
    Engine(const CpBackend& backend, EngineOptions options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Opens the device; must come first.
    void open();
    // Checks a plan whole, then replaces the plan and memory of before. Persistent memory is
    // zeroed.
    void load(std::span<const uint8_t> plan_bytes);
    void write(const std::string& value, int64_t byte_offset, std::span<const uint8_t> bytes);
    // ERR_COMPACT_NOT_FINITE for NaN, infinity and what becomes infinite; some of the rows may have
    // been written then.
    void write_rows(const std::string& value, const RowsRequest& request);
    void read(const std::string& value, int64_t byte_offset, std::span<uint8_t> bytes);
    // Runs are started and finished in order, see executor.h. Nothing but those of two neighbouring
    // runs may come between start() and finish().
    void start(const RunRequest& request);
    size_t num_in_flight() const { return executor_ == nullptr ? 0 : executor_->num_in_flight(); }
    bool is_done() { return executor_->is_done(); }
    double finish() { return executor_->finish(); }
    // Both. Returns the milliseconds that the run took.
    double run(const RunRequest& request);
    // Frees the memory and the device. Idempotent.
    void close();

    // From any thread: a run stops before its next instruction with ERR_COMPACT_ABORTED.
    void cancel() { cancelled_ = true; }
    // From any thread.
    EngineMemory memory() const;
    // From any thread: of each entry, where the device has graphs.
    std::vector<EntryGraphs> graphs() const { return graphs_.report(); }

  private:
    void allocate(const char* name, int64_t bytes, void** region);
    void note_free_bytes();
    void release_memory();
    void write_bytes(void* target, std::span<const uint8_t> bytes);
    const PlanValue& persistent_value(const std::string& name, int64_t byte_offset,
                                      size_t num_bytes) const;
    void* address(const PlanValue& value) const;
    Executor& executor(const RunRequest& request);
    void synchronize();

    const CpBackend& backend_;
    const EngineOptions options_;
    CpDevice* device_ = nullptr;
    GraphChoice graphs_;
    std::unique_ptr<Plan> plan_;
    std::unique_ptr<Executor> executor_;  // of the plan
    void* persistent_ = nullptr;
    void* arena_ = nullptr;
    std::atomic<int64_t> persistent_bytes_{0};
    std::atomic<int64_t> arena_bytes_{0};
    std::atomic<int64_t> allocated_bytes_{0};
    std::atomic<int64_t> overhead_bytes_{0};
    std::atomic<int64_t> free_bytes_{0};
    std::atomic<bool> cancelled_{false};
};

}  // namespace compact
