// Executes plans on one device. Owns exactly two blocks of device memory: the persistent region and
// the arena of the plan that is loaded.
//
// All members but cancel() and memory() belong to one thread at a time (the binding's work queue).
// Failures throw Error; after any of them the engine can go on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "native/core/plan.h"

namespace compact {

struct EngineOptions {
    int32_t device_index = 0;
    int32_t threads = 1;
    std::string instruction_set = "auto";
    std::string blas = "own";
    int64_t memory_limit_bytes = 0;  // 0: none
};

struct EngineMemory {
    int64_t persistent_bytes = 0;
    int64_t arena_bytes = 0;
    int64_t allocated_bytes = 0;  // what the device has given this engine
    int64_t overhead_bytes = 0;   // what the device lost beside, by being opened
    int64_t free_bytes = 0;       // of the device, after it was opened or had refused a plan
};

struct RunRequest {
    std::string entry;
    std::vector<double> scalars;                   // in slot order
    std::vector<std::span<const uint8_t>> inputs;  // in the order of the entry
    std::vector<std::span<uint8_t>> outputs;
    bool check_finite = false;
    std::span<double> profile_us;  // one per instruction, or empty
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
    void read(const std::string& value, int64_t byte_offset, std::span<uint8_t> bytes);
    // Returns the milliseconds that the instructions took.
    double run(const RunRequest& request);
    // Frees the memory and the device. Idempotent.
    void close();

    // From any thread: a run stops before its next instruction with ERR_COMPACT_ABORTED.
    void cancel() { cancelled_ = true; }
    // From any thread.
    EngineMemory memory() const;

  private:
    void allocate(const char* name, int64_t bytes, void** region);
    void note_free_bytes();
    void release_memory();
    void write_bytes(void* target, std::span<const uint8_t> bytes);
    const PlanValue& persistent_value(const std::string& name, int64_t byte_offset,
                                      size_t num_bytes) const;
    const PlanEntry& entry(const RunRequest& request) const;
    void* address(const PlanValue& value) const;
    void execute(const PlanEntry& entry, const Instruction& instruction, const RunRequest& request);
    void check_inputs_finite(const PlanEntry& entry, const Instruction& instruction,
                             const CpCall& call) const;
    void check_outputs_finite(const PlanEntry& entry, const Instruction& instruction,
                              const CpCall& call) const;
    void execute_all(const PlanEntry& entry, const RunRequest& request);
    void synchronize();
    void mark(int32_t slot);
    void read_profile(std::span<double> profile_us);

    const CpBackend& backend_;
    const EngineOptions options_;
    CpDevice* device_ = nullptr;
    std::unique_ptr<Plan> plan_;
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
