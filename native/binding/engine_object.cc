#include "native/binding/engine_object.h"

#include <thread>
#include <utility>

#include "native/backend/registry.h"
#include "native/core/signature.h"

namespace compact {
namespace {

constexpr size_t kMaxPendingCalls = 1024;  // close() comes on top: it is never refused

std::span<uint8_t> bytes_of(const Napi::TypedArray& array) {
    return {static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(),
            array.ByteLength()};
}

// Numbers on the host: what values of a plan have, and other floating point.
int32_t host_dtype(const std::string& name) {
    for (int32_t dtype = CP_F32; dtype <= CP_F64; ++dtype)
        if (name == dtype_name(dtype)) return dtype;
    throw Error("ERR_COMPACT_TYPE", "dtype", "f64, f32, bf16, f16, i32, u8 or i8", name);
}

// Of an array in shared memory, which nobody can take away while another thread reads it.
std::span<uint8_t> shared_bytes_of(const Napi::TypedArray& array) {
    void* data = nullptr;
    napi_value buffer = nullptr;
    const napi_status status =
        napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &data, &buffer, nullptr);
    if (status != napi_ok || Napi::Value(array.Env(), buffer).IsArrayBuffer())
        throw Error("ERR_COMPACT_TYPE", "rows", "an array of a SharedArrayBuffer", "another");
    return {static_cast<uint8_t*>(data), array.ByteLength()};
}

std::vector<Napi::Value> elements(const Napi::Value& value) {
    const auto array = value.As<Napi::Array>();
    std::vector<Napi::Value> result;
    for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i));
    return result;
}

}  // namespace

Napi::Function EngineObject::define(Napi::Env env) {
    return DefineClass(
        env, "NativeEngine",
        {InstanceMethod<&EngineObject::guarded_method<&EngineObject::open>>("open"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::load>>("load"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::write>>("write"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::write_rows>>("writeRows"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::read>>("read"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::run>>("run"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::memory>>("memory"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::graphs>>("graphs"),
         InstanceMethod<&EngineObject::guarded_method<&EngineObject::close>>("close")});
}

EngineObject::EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const Napi::Env env = info.Env();
    guarded(env, [&] {
        const auto options = info[0].As<Napi::Object>();
        const std::string device = options.Get("device").As<Napi::String>();
        const CpBackend* backend = find_backend(device);
        if (backend == nullptr)
            throw Error("ERR_COMPACT_DEVICE_UNAVAILABLE", "open", "a backend of this build",
                        device);
        EngineOptions engine_options;
        engine_options.device_index = options.Get("deviceIndex").As<Napi::Number>();
        engine_options.threads = options.Get("threads").As<Napi::Number>();
        engine_options.instruction_set = options.Get("instructionSet").As<Napi::String>();
        engine_options.blas = options.Get("blas").As<Napi::String>();
        engine_options.graphs = options.Get("graphs").As<Napi::String>();
        engine_options.memory_limit_bytes = options.Get("memoryLimitBytes").As<Napi::Number>();
        engine_ = std::make_unique<Engine>(*backend, std::move(engine_options));
        queue_ = std::make_unique<WorkQueue>(kMaxPendingCalls + 1);
    });
    const napi_status status = napi_create_threadsafe_function(
        env, nullptr, nullptr, Napi::String::New(env, "compact-train engine"), 0, 1, nullptr,
        nullptr, this, on_wake, &wake_);
    if (status != napi_ok) throw Napi::Error::New(env);
    napi_unref_threadsafe_function(env, wake_);  // an idle engine does not keep the process alive
    // Hooks run last in, first out: this one comes before the thread-safe function's own.
    napi_add_env_cleanup_hook(env, on_environment_end, this);
}

EngineObject::~EngineObject() { shut_down(Env()); }

// ---- Calls

std::unique_ptr<EngineObject::Call> EngineObject::new_call(Napi::Env env) const {
    return std::make_unique<Call>(
        Call{Napi::Promise::Deferred::New(env), {}, {}, {}, 0.0, {}, false});
}

std::span<uint8_t> EngineObject::pin(Call& call, const Napi::Value& typed_array) {
    const auto array = typed_array.As<Napi::TypedArray>();
    call.pinned.push_back(Napi::Persistent(array.As<Napi::Object>()));
    return bytes_of(array);
}

Napi::Value EngineObject::open(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    call->work = [](Engine& engine) { engine.open(); };
    return submit(info.Env(), std::move(call));
}

// (plan: Uint8Array)
Napi::Value EngineObject::load(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    call->work = [plan = pin(*call, info[0])](Engine& engine) { engine.load(plan); };
    return submit(info.Env(), std::move(call));
}

// (name, byteOffset, data: TypedArray)
Napi::Value EngineObject::write(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    call->work = [name = info[0].As<Napi::String>().Utf8Value(),
                  offset = info[1].As<Napi::Number>().Int64Value(),
                  data = pin(*call, info[2])](Engine& engine) { engine.write(name, offset, data); };
    return submit(info.Env(), std::move(call));
}

// (name, rows: Uint8Array in shared memory,
//  { dtype, stride, firstColumn, columns, firstRow, isTransposed })
Napi::Value EngineObject::write_rows(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    const auto rows = info[1].As<Napi::TypedArray>();
    const auto layout = info[2].As<Napi::Object>();
    const auto count = [&](const char* name) {
        return layout.Get(name).As<Napi::Number>().Int64Value();
    };
    RowsRequest request;
    request.bytes = shared_bytes_of(rows);
    request.dtype = host_dtype(layout.Get("dtype").As<Napi::String>());
    request.stride = count("stride");
    request.first_column = count("firstColumn");
    request.num_columns = count("columns");
    request.first_row = count("firstRow");
    request.is_turned = layout.Get("isTransposed").ToBoolean();
    call->pinned.push_back(Napi::Persistent(rows.As<Napi::Object>()));
    call->work = [name = info[0].As<Napi::String>().Utf8Value(), request](Engine& engine) {
        engine.write_rows(name, request);
    };
    return submit(info.Env(), std::move(call));
}

// (name, byteOffset, target: TypedArray)
Napi::Value EngineObject::read(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    call->work = [name = info[0].As<Napi::String>().Utf8Value(),
                  offset = info[1].As<Napi::Number>().Int64Value(), target = pin(*call, info[2])](
                     Engine& engine) { engine.read(name, offset, target); };
    return submit(info.Env(), std::move(call));
}

// (entry, scalars: Float64Array, inputs: TypedArray[], outputs: TypedArray[], checkFinite,
//  cancelled: Uint8Array, profileUs?: Float64Array): milliseconds
Napi::Value EngineObject::run(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    RunRequest request;
    request.entry = info[0].As<Napi::String>().Utf8Value();
    const auto scalars = info[1].As<Napi::Float64Array>();
    request.scalars.assign(scalars.Data(), scalars.Data() + scalars.ElementLength());
    for (const Napi::Value& input : elements(info[2]))
        request.inputs.emplace_back(pin(*call, input));
    for (const Napi::Value& output : elements(info[3]))
        request.outputs.emplace_back(pin(*call, output));
    request.check_finite = info[4].ToBoolean();
    request.cancelled = pin(*call, info[5]).data();  // set by an abort signal
    if (info[6].IsTypedArray()) {
        pin(*call, info[6]);
        auto profile = info[6].As<Napi::Float64Array>();
        request.profile_us = std::span(profile.Data(), profile.ElementLength());
    }
    call->run = std::move(request);
    return submit(info.Env(), std::move(call));
}

Napi::Value EngineObject::memory(const Napi::CallbackInfo& info) {
    const EngineMemory memory = engine_->memory();
    const auto result = Napi::Object::New(info.Env());
    result.Set("persistentBytes", static_cast<double>(memory.persistent_bytes));
    result.Set("arenaBytes", static_cast<double>(memory.arena_bytes));
    result.Set("allocatedBytes", static_cast<double>(memory.allocated_bytes));
    result.Set("overheadBytes", static_cast<double>(memory.overhead_bytes));
    result.Set("freeBytes", static_cast<double>(memory.free_bytes));
    return result;
}

// Of each entry: { entry, state, plainMs, recordedMs, problem }; none where there are no graphs.
Napi::Value EngineObject::graphs(const Napi::CallbackInfo& info) {
    const std::vector<EntryGraphs> entries = engine_->graphs();
    const auto result = Napi::Array::New(info.Env(), entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
        const auto entry = Napi::Object::New(info.Env());
        entry.Set("entry", entries[i].entry);
        entry.Set("state", entries[i].state);
        entry.Set("plainMs", entries[i].plain_ms);
        entry.Set("recordedMs", entries[i].recorded_ms);
        entry.Set("problem", entries[i].problem);
        result.Set(static_cast<uint32_t>(i), entry);
    }
    return result;
}

// Runs after all calls made before it; none can be made after it.
Napi::Value EngineObject::close(const Napi::CallbackInfo& info) {
    auto call = new_call(info.Env());
    call->closes = true;
    call->work = [](Engine& engine) { engine.close(); };
    return submit(info.Env(), std::move(call));
}

// ---- The way of a call

Napi::Value EngineObject::submit(Napi::Env env, std::unique_ptr<Call> call) {
    const auto promise = call->deferred.Promise();
    if (closing_ || shut_down_) {
        call->deferred.Reject(to_js(env, Error("ERR_COMPACT_DISPOSED", "", "", "")).Value());
        return promise;
    }
    Call* queued = call.get();
    const bool has_room = calls_.size() < kMaxPendingCalls || queued->closes;
    if (!has_room || !queue_->push([this, queued] { perform(*queued); })) {
        const std::string limit = std::to_string(kMaxPendingCalls);
        call->deferred.Reject(to_js(env, Error("ERR_COMPACT_ARGUMENT", "engine",
                                               "at most " + limit + " pending calls", "more"))
                                  .Value());
        return promise;
    }
    closing_ = queued->closes;
    if (calls_.empty()) {
        Ref();
        napi_ref_threadsafe_function(env, wake_);
    }
    calls_.push_back(std::move(call));
    return promise;
}

void EngineObject::perform(Call& call) {
    if (call.run.has_value()) return perform_run(call);
    finish_run();
    try {
        call.work(*engine_);
    } catch (...) {
        call.error = current_error();
    }
    hand_over(call);
}

void EngineObject::perform_run(Call& call) {
    if (call.run->is_diagnosis()) finish_run();
    try {
        engine_->start(*call.run);
    } catch (...) {
        call.error = current_error();
    }
    // The run before can be waited for, now that the device has the next one.
    finish_run();
    if (call.error.has_value()) return hand_over(call);
    in_flight_ = &call;
    // What is called meanwhile may be a run, which is to be enqueued before the end of this one.
    // Waiting as the runtime waits by default: without sleep, giving way to other threads.
    while (!call.run->is_diagnosis() && !engine_->is_done()) {
        if (queue_->has_jobs()) return;
        std::this_thread::yield();
    }
    finish_run();
}

void EngineObject::finish_run() {
    if (in_flight_ == nullptr) return;
    Call& call = *std::exchange(in_flight_, nullptr);
    try {
        call.result = engine_->finish();
    } catch (...) {
        call.error = current_error();
    }
    hand_over(call);
}

void EngineObject::hand_over(Call& call) {
    {
        const std::lock_guard lock(mutex_);
        finished_.push_back(&call);
    }
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

// Node calls this from its loop, where an exception would end the process. Node-API fails, and Napi
// throws, when the environment can run no JavaScript any more, as in a worker thread that is being
// terminated: nobody waits for what has finished then, and the cleanup hook ends the engine.
void EngineObject::on_wake(napi_env env, napi_value, void* self, void*) noexcept {
    // Without an environment the loop is gone, and this object may be too.
    if (env == nullptr) return;
    try {
        static_cast<EngineObject*>(self)->settle_finished(env);
    } catch (...) {
    }
}

void EngineObject::settle_finished(Napi::Env env) {
    const Napi::HandleScope scope(env);
    [[maybe_unused]] const Napi::Value keep_alive = Value();
    std::vector<Call*> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    if (finished.empty()) return;
    account_memory(env);
    bool closed = false;
    for (Call* call : finished) {
        if (call->error.has_value()) {
            call->deferred.Reject(to_js(env, *call->error).Value());
        } else {
            call->deferred.Resolve(Napi::Number::New(env, call->result));
        }
        closed = closed || call->closes;
        calls_.remove_if([call](const auto& pending) { return pending.get() == call; });
    }
    if (calls_.empty()) {
        napi_unref_threadsafe_function(env, wake_);
        Unref();
    }
    if (closed) shut_down(env);
}

void EngineObject::account_memory(napi_env env) {
    const int64_t allocated = engine_->memory().allocated_bytes;
    const int64_t change = allocated - std::exchange(accounted_bytes_, allocated);
    int64_t total = 0;
    if (change != 0) napi_adjust_external_memory(env, change, &total);
}

void EngineObject::shut_down(napi_env env) noexcept {
    if (std::exchange(shut_down_, true) || queue_ == nullptr) return;
    engine_->cancel();
    queue_->stop();
    calls_.clear();
    engine_->close();
    if (wake_ == nullptr) return;
    napi_release_threadsafe_function(wake_, napi_tsfn_abort);
    if (env == nullptr) return;  // the environment is going
    account_memory(env);
    napi_remove_env_cleanup_hook(env, on_environment_end, this);
}

void EngineObject::on_environment_end(void* self) noexcept {
    static_cast<EngineObject*>(self)->shut_down(nullptr);
}

}  // namespace compact
