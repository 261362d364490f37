#include "native/core/executor.h"

#include <algorithm>
#include <array>
#include <utility>

#include "native/backend/call.h"
#include "native/core/error.h"
#include "native/core/finite.h"
#include "native/core/plan_check.h"
#include "native/core/signature.h"

namespace compact {
namespace {

constexpr int64_t kOutputAlignment = CP_OUTPUT_ALIGNMENT;

[[noreturn]] void throw_not_finite(const PlanEntry& entry, const Instruction& instruction,
                                   const PlanValue& value, int64_t index, const char* role) {
    Error error("ERR_COMPACT_NOT_FINITE", instruction.op, std::string("finite ") + role,
                "NaN or infinity at element " + std::to_string(index));
    error.entry = entry.name;
    error.layer = instruction.layer;
    error.value = value.name;
    throw error;
}

// Bytes of outputs of the entry that has the most.
int64_t output_bytes(const Plan& plan) {
    int64_t most = 0;
    for (const PlanEntry& entry : plan.entries) {
        int64_t bytes = 0;
        for (const int32_t id : entry.outputs) {
            const int64_t value = plan.values[static_cast<size_t>(id)].bytes;
            bytes += (value + kOutputAlignment - 1) / kOutputAlignment * kOutputAlignment;
        }
        most = std::max(most, bytes);
    }
    return most;
}

// Runs `body`; an Error that leaves it names the instruction.
template <class Body>
void naming(const PlanEntry& entry, const Instruction& instruction, Body&& body) {
    try {
        body();
    } catch (Error& failure) {
        failure.entry = entry.name;
        failure.layer = instruction.layer;
        throw;
    }
}

}  // namespace

Executor::Executor(const CpBackend& backend, CpDevice* device, const Plan& plan, void* persistent,
                   void* arena, GraphChoice& graphs, const std::atomic<bool>& cancelled)
    : backend_(backend),
      device_(device),
      plan_(plan),
      persistent_(persistent),
      arena_(arena),
      graphs_(graphs),
      cancelled_(cancelled) {
    std::vector<std::string> names;
    if (backend_.runs != nullptr) {
        CpError error{};
        throw_if_failed(backend_.runs->set_plan(device_, static_cast<int32_t>(plan_.entries.size()),
                                                output_bytes(plan_), &error),
                        error);
        for (const PlanEntry& entry : plan_.entries) names.push_back(entry.name);
    }
    graphs_.reset(names);
}

Executor::~Executor() {
    graphs_.reset({});
    if (backend_.runs == nullptr) return;
    // What fails here is over with the plan.
    CpError ignored{};
    backend_.synchronize(device_, &ignored);
    backend_.runs->set_plan(device_, 0, 0, &ignored);
}

// ---- Starting and finishing

size_t Executor::find_entry(const RunRequest& request) const {
    for (size_t index = 0; index < plan_.entries.size(); ++index) {
        const PlanEntry& candidate = plan_.entries[index];
        if (candidate.name != request.entry) continue;
        const auto matches = [&](const std::vector<int32_t>& ids, const auto& buffers) {
            if (ids.size() != buffers.size()) return false;
            for (size_t i = 0; i < ids.size(); ++i)
                if (plan_.values[static_cast<size_t>(ids[i])].bytes !=
                    static_cast<int64_t>(buffers[i].size()))
                    return false;
            return true;
        };
        if (!matches(candidate.inputs, request.inputs) ||
            !matches(candidate.outputs, request.outputs) ||
            request.scalars.size() != plan_.scalars.size() ||
            (!request.profile_us.empty() &&
             request.profile_us.size() != candidate.instructions.size()))
            throw Error("ERR_COMPACT_ARGUMENT", request.entry,
                        "inputs, outputs and scalars as in the plan", "other sizes");
        return index;
    }
    throw Error("ERR_COMPACT_ENTRY_UNKNOWN", request.entry, "an entry of the plan", request.entry);
}

void* Executor::address(const PlanValue& value) const {
    void* region = value.region == Region::kPersistent ? persistent_ : arena_;
    return static_cast<char*>(region) + value.offset;
}

std::vector<CpOutput> Executor::outputs_of(const PlanEntry& entry,
                                           const RunRequest& request) const {
    std::vector<CpOutput> outputs;
    for (size_t i = 0; i < entry.outputs.size(); ++i) {
        const PlanValue& value = plan_.values[static_cast<size_t>(entry.outputs[i])];
        outputs.push_back({address(value), request.outputs[i].data(), value.bytes});
    }
    return outputs;
}

void Executor::start(const RunRequest& request) {
    Run run;
    run.entry = find_entry(request);
    run.slot = next_slot_;
    run.begin = Clock::now();
    run.is_diagnosis = request.is_diagnosis();
    const PlanEntry& entry = plan_.entries[run.entry];
    run.outputs = outputs_of(entry, request);
    throw_if_cancelled(entry, request);
    try {
        enqueue(run, request);
    } catch (...) {
        if (backend_.runs != nullptr) backend_.runs->discard(device_);
        // What was enqueued must neither outlive the run nor be blamed on the next one.
        CpError ignored{};
        backend_.synchronize(device_, &ignored);
        throw;
    }
    in_flight_.push_back(std::move(run));
    next_slot_ = (next_slot_ + 1) % CP_RUNS_IN_FLIGHT;
}

void Executor::enqueue(Run& run, const RunRequest& request) {
    const PlanEntry& entry = plan_.entries[run.entry];
    // A run before that still reads these bytes is ahead in the order of the device.
    for (size_t i = 0; i < entry.inputs.size(); ++i) {
        const PlanValue& value = plan_.values[static_cast<size_t>(entry.inputs[i])];
        CpError error{};
        throw_if_failed(
            backend_.write(device_, address(value), request.inputs[i].data(), value.bytes, &error),
            error);
    }
    std::string problem;
    run.recorded = backend_.runs != nullptr && !request.is_diagnosis() &&
                   graphs_.is_recorded(run.entry) && record(run, request, problem);
    if (!run.recorded) {
        begin(run.slot, -1);
        execute_all(entry, request, false);
        if (!problem.empty()) graphs_.refuse(run.entry, problem);
    }
    CpError error{};
    if (backend_.runs != nullptr) {
        throw_if_failed(backend_.runs->end(device_, run.slot, run.outputs.data(),
                                           static_cast<int32_t>(run.outputs.size()), &error),
                        error);
        if (!request.profile_us.empty()) {
            synchronize();
            read_profile(request.profile_us);
        }
        return;
    }
    synchronize();
    run.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - run.begin).count();
    if (!request.profile_us.empty()) read_profile(request.profile_us);
    for (const CpOutput& output : run.outputs)
        throw_if_failed(backend_.read(device_, output.host, output.source, output.bytes, &error),
                        error);
}

// False with the reason when the run could not be recorded: nothing of it has happened then.
// Whether the recording was at fault shows when the run is executed as it is, which fails as well
// where it was not.
bool Executor::record(const Run& run, const RunRequest& request, std::string& problem) {
    const PlanEntry& entry = plan_.entries[run.entry];
    try {
        begin(run.slot, static_cast<int32_t>(run.entry));
        execute_all(entry, request, true);
        throw_if_cancelled(entry, request);
        CpError error{};
        throw_if_failed(backend_.runs->launch(device_, &error), error);
        return true;
    } catch (const Error& failure) {
        backend_.runs->discard(device_);
        if (failure.code != "ERR_COMPACT_NATIVE" && failure.code != "ERR_COMPACT_OUT_OF_MEMORY")
            throw;
        problem = failure.op + ": " + failure.received;
        return false;
    }
}

bool Executor::is_done() {
    const Run& run = in_flight_.front();
    return run.duration_ms.has_value() || backend_.runs->is_done(device_, run.slot) != 0;
}

double Executor::finish() {
    const Run run = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (run.duration_ms.has_value()) return *run.duration_ms;
    CpError error{};
    const CpStatus status = backend_.runs->collect(
        device_, run.slot, run.outputs.data(), static_cast<int32_t>(run.outputs.size()), &error);
    const auto begin = std::max(run.begin, std::exchange(last_end_, Clock::now()));
    throw_if_failed(status, error);
    const double duration_ms = std::chrono::duration<double, std::milli>(last_end_ - begin).count();
    if (!run.is_diagnosis) graphs_.note(run.entry, run.recorded, duration_ms);
    return duration_ms;
}

// ---- Instructions

void Executor::begin(int32_t slot, int32_t recorded_entry) {
    if (backend_.runs == nullptr) return;
    CpError error{};
    throw_if_failed(backend_.runs->begin(device_, slot, recorded_entry, &error), error);
}

void Executor::throw_if_cancelled(const PlanEntry& entry, const RunRequest& request) const {
    if (cancelled_ ||
        (request.cancelled != nullptr && std::atomic_ref(*request.cancelled).load() != 0))
        throw Error("ERR_COMPACT_ABORTED", entry.name, "", "");
}

void Executor::execute_all(const PlanEntry& entry, const RunRequest& request, bool recorded) {
    const bool profiled = !request.profile_us.empty();
    const std::vector<Instruction>& instructions = entry.instructions;
    for (size_t i = 0; i < instructions.size();) {
        if (cancelled_) throw Error("ERR_COMPACT_ABORTED", entry.name, "", "");
        if (recorded) throw_if_cancelled(entry, request);
        if (profiled) mark(static_cast<int32_t>(i));
        // In a diagnosis an op does all of its work itself, in its own time.
        const size_t size = request.is_diagnosis() ? 1 : entry.group(i).size();
        const auto members = std::span(instructions).subspan(i, size);
        i += size;
        if (!request.is_diagnosis() && i < instructions.size() && instructions[i].prepared_ahead)
            prepare(entry, instructions[i], request);
        if (size > 1 && members[0].kernel->run_group != nullptr) {
            execute_group(entry, members, request);
        } else {
            for (const Instruction& member : members) execute(entry, member, request);
        }
    }
    if (profiled) mark(static_cast<int32_t>(instructions.size()));
}

void Executor::prepare(const PlanEntry& entry, const Instruction& instruction,
                       const RunRequest& request) {
    naming(entry, instruction, [&] {
        const CpCall call = resolved_call(instruction, request);
        CpError error{};
        throw_if_failed(instruction.kernel->prepare(device_, &call, &error), error);
    });
}

void Executor::execute(const PlanEntry& entry, const Instruction& instruction,
                       const RunRequest& request) {
    naming(entry, instruction, [&] {
        const CpCall call = resolved_call(instruction, request);
        CpError error{};
        if (request.check_finite) check_inputs_finite(entry, instruction, call);
        throw_if_failed(instruction.kernel->run(device_, &call, &error), error);
        if (request.check_finite) check_outputs_finite(entry, instruction, call);
    });
}

void Executor::execute_group(const PlanEntry& entry, std::span<const Instruction> members,
                             const RunRequest& request) {
    std::array<CpCall, CP_MAX_GROUP> calls;
    for (size_t i = 0; i < members.size(); ++i)
        naming(entry, members[i], [&] { calls[i] = resolved_call(members[i], request); });
    // Which of them fails inside is not known; the compiler groups calls of one layer.
    naming(entry, members[0], [&] {
        const auto count = static_cast<int32_t>(members.size());
        CpError error{};
        throw_if_failed(members[0].kernel->run_group(device_, calls.data(), count, &error), error);
    });
}

// The call with the scalars of the run. Now that they are known their values are checked like
// constants.
CpCall Executor::resolved_call(const Instruction& instruction, const RunRequest& request) const {
    const CpCall call = make_call(plan_, instruction, persistent_, arena_, request.scalars.data());
    const bool has_scalars =
        std::any_of(instruction.attributes.begin(), instruction.attributes.end(),
                    [](const PlanAttribute& a) { return a.scalar_slot >= 0; });
    if (has_scalars && instruction.kernel->check != nullptr) {
        CpCall constant = call;
        for (int32_t i = 0; i < constant.num_attributes; ++i)
            constant.attributes[i].scalar_slot = -1;
        CpError error{};
        throw_if_failed(instruction.kernel->check(&constant, &error), error);
    }
    return call;
}

// ---- What diagnoses ask

void Executor::check_inputs_finite(const PlanEntry& entry, const Instruction& instruction,
                                   const CpCall& call) const {
    for (size_t i = 0; i < instruction.inputs.size(); ++i) {
        if (instruction.inputs[i] < 0) continue;
        const PlanValue& value = plan_.values[static_cast<size_t>(instruction.inputs[i])];
        // Arena inputs were checked when they were made.
        if (value.region != Region::kPersistent) continue;
        const int64_t index = first_not_finite(backend_, device_, call.inputs[i], false);
        if (index >= 0) throw_not_finite(entry, instruction, value, index, "input");
    }
}

void Executor::check_outputs_finite(const PlanEntry& entry, const Instruction& instruction,
                                    const CpCall& call) const {
    const auto specs = expected_outputs(*instruction.signature, call);
    for (size_t i = 0; i < instruction.outputs.size(); ++i) {
        // A row with nothing to attend to has the log-sum-exp of nothing.
        const bool allow_minus_infinity = specs[i]->name == "lse";
        const int64_t index =
            first_not_finite(backend_, device_, call.outputs[i], allow_minus_infinity);
        if (index >= 0)
            throw_not_finite(entry, instruction,
                             plan_.values[static_cast<size_t>(instruction.outputs[i])], index,
                             "output");
    }
}

void Executor::synchronize() {
    CpError error{};
    throw_if_failed(backend_.synchronize(device_, &error), error);
}

void Executor::mark(int32_t slot) {
    CpError error{};
    throw_if_failed(backend_.mark(device_, slot, &error), error);
}

void Executor::read_profile(std::span<double> profile_us) {
    for (size_t i = 0; i < profile_us.size(); ++i) {
        const auto slot = static_cast<int32_t>(i);
        CpError error{};
        throw_if_failed(backend_.elapsed_us(device_, slot, slot + 1, &profile_us[i], &error),
                        error);
    }
}

}  // namespace compact
