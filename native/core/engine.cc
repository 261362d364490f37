#include "native/core/engine.h"

#include <algorithm>
#include <utility>

#include "native/core/error.h"
#include "native/core/plan_check.h"
#include "native/core/plan_reader.h"

namespace compact {
namespace {

CpLimits limits_of(const EngineOptions& options) {
    CpLimits limits{};
    limits.threads = options.threads;
    return limits;
}

}  // namespace

Engine::Engine(const CpBackend& backend, EngineOptions options)
    : backend_(backend), options_(std::move(options)), graphs_(graph_mode(options_.graphs)) {}

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
        executor_ = std::make_unique<Executor>(backend_, device_, *plan, persistent_, arena_,
                                               graphs_, cancelled_);
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
    executor_.reset();
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
            if (value.region != Region::kPersistent || value.is_rows || value.name != name)
                continue;
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

void Engine::write_rows(const std::string& value, const RowsRequest& request) {
    const PlanValue& target = persistent_value(value, 0, 0);
    const CheckedRows rows(target, request);
    const CpRowSource source = rows.source();
    if (source.num_rows == 0 || source.row_bytes == 0) return;
    CpError error{};
    throw_if_failed(
        backend_.write_rows(device_, static_cast<char*>(address(target)) + rows.byte_offset(),
                            rows.stride(), &source, &error),
        error);
    synchronize();
    if (!rows.are_finite())
        throw Error("ERR_COMPACT_NOT_FINITE", value, "numbers that are finite in the value's type",
                    "NaN, infinity or a number beyond them");
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

Executor& Engine::executor(const RunRequest& request) {
    if (executor_ != nullptr) return *executor_;
    throw Error("ERR_COMPACT_ENTRY_UNKNOWN", request.entry, "an entry of the plan", request.entry);
}

void Engine::start(const RunRequest& request) { executor(request).start(request); }

double Engine::run(const RunRequest& request) {
    start(request);
    return finish();
}

void Engine::synchronize() {
    CpError error{};
    throw_if_failed(backend_.synchronize(device_, &error), error);
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
