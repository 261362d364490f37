// The JavaScript class over one engine: a queue with a thread of its own, promises, lifetime.
//
// Calls run in order on the queue's thread and are settled on the loop's thread. A run that waits
// behind another is enqueued on the device while that one computes; every other call waits for the
// end of what is in flight. Everything of Node-API is touched on the loop's thread only. The object
// is held while calls are pending, so an engine that is dropped without close() is freed by the
// garbage collector once it is idle.
#pragma once

#include <napi.h>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "native/binding/errors.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/core/work_queue.h"

namespace compact {

class EngineObject : public Napi::ObjectWrap<EngineObject> {
  public:
    static Napi::Function define(Napi::Env env);

    // ({ device, deviceIndex, threads, instructionSet, blas, graphs, memoryLimitBytes })
    explicit EngineObject(const Napi::CallbackInfo& info);
    ~EngineObject() override;

  private:
    // One queued call.
    struct Call {
        Napi::Promise::Deferred deferred;
        std::vector<Napi::ObjectReference> pinned;  // buffers that the work reads or writes
        std::function<void(Engine&)> work;          // of every call but a run
        std::optional<RunRequest> run;              // its milliseconds become the promise's value
        double result = 0.0;
        std::optional<Error> error;
        bool closes = false;
    };

    template <Napi::Value (EngineObject::*method)(const Napi::CallbackInfo&)>
    Napi::Value guarded_method(const Napi::CallbackInfo& info) {
        return guarded(info.Env(), [&] { return (this->*method)(info); });
    }
    Napi::Value open(const Napi::CallbackInfo& info);
    Napi::Value load(const Napi::CallbackInfo& info);
    Napi::Value write(const Napi::CallbackInfo& info);
    Napi::Value write_rows(const Napi::CallbackInfo& info);
    Napi::Value read(const Napi::CallbackInfo& info);
    Napi::Value run(const Napi::CallbackInfo& info);
    Napi::Value memory(const Napi::CallbackInfo& info);
    Napi::Value graphs(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    // The call that is being made up, before it is queued.
    std::unique_ptr<Call> new_call(Napi::Env env) const;
    static std::span<uint8_t> pin(Call& call, const Napi::Value& typed_array);
    Napi::Value submit(Napi::Env env, std::unique_ptr<Call> call);

    // On the queue's thread.
    void perform(Call& call);
    void perform_run(Call& call);
    void finish_run();
    void hand_over(Call& call);

    void settle_finished(Napi::Env env);
    // What Node calls by itself, also when the environment can run no JavaScript any more, uses the
    // plain Node-API or catches what Napi throws: nothing may get out.
    static void on_wake(napi_env env, napi_value, void* self, void*) noexcept;
    static void on_environment_end(void* self) noexcept;
    void account_memory(napi_env env);
    void shut_down(napi_env env) noexcept;  // idempotent

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<WorkQueue> queue_;
    napi_threadsafe_function wake_ = nullptr;  // tells the loop that calls have finished
    std::list<std::unique_ptr<Call>> calls_;   // pending; loop thread only
    Call* in_flight_ = nullptr;                // a run that has started; queue's thread only
    std::mutex mutex_;
    std::vector<Call*> finished_;  // guarded by mutex_
    int64_t accounted_bytes_ = 0;  // told to the garbage collector
    bool closing_ = false;
    bool shut_down_ = false;
};

}  // namespace compact
