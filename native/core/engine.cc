#include "native/core/engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "native/backend/call.h"
#include "native/core/error.h"
#include "native/core/finite.h"
#include "native/core/plan_check.h"
#include "native/core/plan_reader.h"
#include "native/core/signature.h"

namespace compact {
namespace {

using Clock = std::chrono::steady_clock;

double elapsed_ms(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

CpLimits limits_of(const EngineOptions& options) {
    CpLimits limits{};
    limits.threads = options.threads;
    return limits;
}

[[noreturn]] void throw_not_finite(const PlanEntry& entry, const Instruction& instruction,
                                   const PlanValue& value, int64_t index, const char* role) {
    Error error("ERR_COMPACT_NOT_FINITE", instruction.op, std::string("finite ") + role,
                "NaN or infinity at element " + std::to_string(index));
    error.entry = entry.name;
    error.layer = instruction.layer;
    error.value = value.name;
    throw error;
}

}  // namespace

Engine::Engine(const CpBackend& backend, EngineOptions options)
    : backend_(backend), options_(std::move(options)) {}

Engine::~Engine() { close(); }

void Engine::open() {
    CpDeviceOptions options{};
    options.index = options_.device_index;
    options.threads = options_.threads;
    options.instruction_set = options_.instruction_set.c_str();
    options.blas = options_.blas.c_str();
    CpError error{};
    throw_if_failed(backend_.open(&options, &device_, &error), error);
    overhead_bytes_ = backend_.overhead_bytes(device_);
    note_free_bytes();
}

void Engine::load(std::span<const uint8_t> plan_bytes) {
    auto plan = std::make_unique<Plan>(read_plan(plan_bytes));
    const int64_t needed = plan->persistent_bytes + plan->arena_bytes;
    if (options_.memory_limit_bytes > 0 && needed > options_.memory_limit_bytes)
        throw Error("ERR_COMPACT_DOES_NOT_FIT", "load",
                    "at most " + std::to_string(options_.memory_limit_bytes) + " bytes",
                    std::to_string(needed) + " bytes");
    check_plan(*plan, backend_, limits_of(options_));

    release_memory();
    try {
        allocate("the persistent region", plan->persistent_bytes, &persistent_);
        persistent_bytes_ = plan->persistent_bytes;
        allocate("the arena", plan->arena_bytes, &arena_);
        arena_bytes_ = plan->arena_bytes;
        // States start as zero; writing them here also makes the first step as fast as the others.
        const std::vector<uint8_t> zeros(
            static_cast<size_t>(std::min<int64_t>(plan->persistent_bytes, int64_t{1} << 22)));
        for (int64_t begin = 0; begin < plan->persistent_bytes;
             begin += static_cast<int64_t>(zeros.size())) {
            const int64_t rest = plan->persistent_bytes - begin;
            write_bytes(static_cast<char*>(persistent_) + begin,
                        std::span(zeros).first(std::min(zeros.size(), static_cast<size_t>(rest))));
        }
    } catch (...) {
        release_memory();
        note_free_bytes();
        throw;
    }
    plan_ = std::move(plan);
}

void Engine::allocate(const char* name, int64_t bytes, void** region) {
    if (bytes == 0) return;
    CpError error{};
    if (backend_.allocate(device_, bytes, region, &error) != CP_OK) {
        Error failure(error);
        failure.op = name;
        failure.expected = std::to_string(bytes) + " bytes";
        throw failure;
    }
    allocated_bytes_ += bytes;
}

void Engine::note_free_bytes() { free_bytes_ = backend_.free_bytes(device_); }

void Engine::release_memory() {
    plan_.reset();
    if (persistent_ != nullptr) {
        backend_.release(device_, std::exchange(persistent_, nullptr), persistent_bytes_);
        allocated_bytes_ -= persistent_bytes_;
    }
    if (arena_ != nullptr) {
        backend_.release(device_, std::exchange(arena_, nullptr), arena_bytes_);
        allocated_bytes_ -= arena_bytes_;
    }
    persistent_bytes_ = 0;
    arena_bytes_ = 0;
}

void Engine::write_bytes(void* target, std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    CpError error{};
    throw_if_failed(
        backend_.write(device_, target, bytes.data(), static_cast<int64_t>(bytes.size()), &error),
        error);
}

void* Engine::address(const PlanValue& value) const {
    void* region = value.region == Region::kPersistent ? persistent_ : arena_;
    return static_cast<char*>(region) + value.offset;
}

const PlanValue& Engine::persistent_value(const std::string& name, int64_t byte_offset,
                                          size_t num_bytes) const {
    if (plan_ != nullptr) {
        for (const PlanValue& value : plan_->values) {
            if (value.region != Region::kPersistent || value.name != name) continue;
            if (byte_offset < 0 || byte_offset > value.bytes ||
                static_cast<int64_t>(num_bytes) > value.bytes - byte_offset)
                throw Error(
                    "ERR_COMPACT_ARGUMENT", name,
                    "a range within " + std::to_string(value.bytes) + " bytes",
                    std::to_string(num_bytes) + " bytes from " + std::to_string(byte_offset));
            return value;
        }
    }
    throw Error("ERR_COMPACT_VALUE_UNKNOWN", name, "a persistent value of the plan", name);
}

void Engine::write(const std::string& value, int64_t byte_offset, std::span<const uint8_t> bytes) {
    const PlanValue& target = persistent_value(value, byte_offset, bytes.size());
    write_bytes(static_cast<char*>(address(target)) + byte_offset, bytes);
    synchronize();
}

void Engine::read(const std::string& value, int64_t byte_offset, std::span<uint8_t> bytes) {
    const PlanValue& source = persistent_value(value, byte_offset, bytes.size());
    if (bytes.empty()) return;
    CpError error{};
    throw_if_failed(backend_.read(device_, bytes.data(),
                                  static_cast<const char*>(address(source)) + byte_offset,
                                  static_cast<int64_t>(bytes.size()), &error),
                    error);
}

const PlanEntry& Engine::entry(const RunRequest& request) const {
    if (plan_ != nullptr) {
        for (const PlanEntry& candidate : plan_->entries) {
            if (candidate.name != request.entry) continue;
            const auto matches = [&](const std::vector<int32_t>& ids, const auto& buffers) {
                if (ids.size() != buffers.size()) return false;
                for (size_t i = 0; i < ids.size(); ++i)
                    if (plan_->values[static_cast<size_t>(ids[i])].bytes !=
                        static_cast<int64_t>(buffers[i].size()))
                        return false;
                return true;
            };
            if (!matches(candidate.inputs, request.inputs) ||
                !matches(candidate.outputs, request.outputs) ||
                request.scalars.size() != plan_->scalars.size() ||
                (!request.profile_us.empty() &&
                 request.profile_us.size() != candidate.instructions.size()))
                throw Error("ERR_COMPACT_ARGUMENT", request.entry,
                            "inputs, outputs and scalars as in the plan", "other sizes");
            return candidate;
        }
    }
    throw Error("ERR_COMPACT_ENTRY_UNKNOWN", request.entry, "an entry of the plan", request.entry);
}

double Engine::run(const RunRequest& request) {
    const PlanEntry& program = entry(request);
    const auto begin = Clock::now();
    for (size_t i = 0; i < program.inputs.size(); ++i)
        write_bytes(address(plan_->values[static_cast<size_t>(program.inputs[i])]),
                    request.inputs[i]);
    try {
        execute_all(program, request);
    } catch (...) {
        // What was enqueued must neither outlive the run nor be blamed on the next one.
        CpError ignored{};
        backend_.synchronize(device_, &ignored);
        throw;
    }
    synchronize();
    const double duration_ms = elapsed_ms(begin);
    if (!request.profile_us.empty()) read_profile(request.profile_us);
    for (size_t i = 0; i < program.outputs.size(); ++i) {
        const PlanValue& value = plan_->values[static_cast<size_t>(program.outputs[i])];
        CpError error{};
        throw_if_failed(
            backend_.read(device_, request.outputs[i].data(), address(value), value.bytes, &error),
            error);
    }
    return duration_ms;
}

void Engine::execute_all(const PlanEntry& entry, const RunRequest& request) {
    const bool profiled = !request.profile_us.empty();
    for (size_t i = 0; i < entry.instructions.size(); ++i) {
        if (cancelled_) throw Error("ERR_COMPACT_ABORTED", entry.name, "", "");
        if (profiled) mark(static_cast<int32_t>(i));
        execute(entry, entry.instructions[i], request);
    }
    if (profiled) mark(static_cast<int32_t>(entry.instructions.size()));
}

void Engine::execute(const PlanEntry& entry, const Instruction& instruction,
                     const RunRequest& request) {
    const CpCall call = make_call(*plan_, instruction, persistent_, arena_, request.scalars.data());
    CpError error{};
    try {
        const bool has_scalars =
            std::any_of(instruction.attributes.begin(), instruction.attributes.end(),
                        [](const PlanAttribute& a) { return a.scalar_slot >= 0; });
        if (has_scalars && instruction.kernel->check != nullptr) {
            // Now that the scalars are known their values are checked like constants.
            CpCall resolved = call;
            for (int32_t i = 0; i < resolved.num_attributes; ++i)
                resolved.attributes[i].scalar_slot = -1;
            throw_if_failed(instruction.kernel->check(&resolved, &error), error);
        }
        if (request.check_finite) check_inputs_finite(entry, instruction, call);
        throw_if_failed(instruction.kernel->run(device_, &call, &error), error);
        if (request.check_finite) check_outputs_finite(entry, instruction, call);
    } catch (Error& failure) {
        failure.entry = entry.name;
        failure.layer = instruction.layer;
        throw;
    }
}

void Engine::check_inputs_finite(const PlanEntry& entry, const Instruction& instruction,
                                 const CpCall& call) const {
    for (size_t i = 0; i < instruction.inputs.size(); ++i) {
        if (instruction.inputs[i] < 0) continue;
        const PlanValue& value = plan_->values[static_cast<size_t>(instruction.inputs[i])];
        // Arena inputs were checked when they were made.
        if (value.region != Region::kPersistent) continue;
        const int64_t index = first_not_finite(backend_, device_, call.inputs[i], false);
        if (index >= 0) throw_not_finite(entry, instruction, value, index, "input");
    }
}

void Engine::check_outputs_finite(const PlanEntry& entry, const Instruction& instruction,
                                  const CpCall& call) const {
    const auto specs = expected_outputs(*instruction.signature, call);
    for (size_t i = 0; i < instruction.outputs.size(); ++i) {
        // A row with nothing to attend to has the log-sum-exp of nothing.
        const bool allow_minus_infinity = specs[i]->name == "lse";
        const int64_t index =
            first_not_finite(backend_, device_, call.outputs[i], allow_minus_infinity);
        if (index >= 0)
            throw_not_finite(entry, instruction,
                             plan_->values[static_cast<size_t>(instruction.outputs[i])], index,
                             "output");
    }
}

void Engine::synchronize() {
    CpError error{};
    throw_if_failed(backend_.synchronize(device_, &error), error);
}

void Engine::mark(int32_t slot) {
    CpError error{};
    throw_if_failed(backend_.mark(device_, slot, &error), error);
}

void Engine::read_profile(std::span<double> profile_us) {
    for (size_t i = 0; i < profile_us.size(); ++i) {
        const auto slot = static_cast<int32_t>(i);
        CpError error{};
        throw_if_failed(backend_.elapsed_us(device_, slot, slot + 1, &profile_us[i], &error),
                        error);
    }
}

void Engine::close() {
    if (device_ == nullptr) return;
    release_memory();
    backend_.close(std::exchange(device_, nullptr));
}

EngineMemory Engine::memory() const {
    return {persistent_bytes_, arena_bytes_, allocated_bytes_, overhead_bytes_, free_bytes_};
}

}  // namespace compact
