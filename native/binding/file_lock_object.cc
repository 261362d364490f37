#include "native/binding/file_lock_object.h"

#include "native/binding/errors.h"

namespace compact {
namespace {

const char* name_of(FileLock::State state) {
    switch (state) {
        case FileLock::State::kLocked:
            return "locked";
        case FileLock::State::kHeld:
            return "held";
        case FileLock::State::kUnsupported:
            return "unsupported";
        case FileLock::State::kFailed:
            break;
    }
    return "failed";
}

}  // namespace

Napi::Function FileLockObject::define(Napi::Env env) {
    return DefineClass(env, "FileLock",
                       {InstanceMethod<&FileLockObject::state>("state"),
                        InstanceMethod<&FileLockObject::holder>("holder"),
                        InstanceMethod<&FileLockObject::error>("error"),
                        InstanceMethod<&FileLockObject::release>("release")});
}

FileLockObject::FileLockObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    guarded(info.Env(), [&] {
        lock_.emplace(info[0].As<Napi::String>().Utf8Value(),
                      info[1].As<Napi::String>().Utf8Value());
    });
}

Napi::Value FileLockObject::state(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), name_of(lock_->state()));
}

Napi::Value FileLockObject::holder(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), lock_->holder());
}

Napi::Value FileLockObject::error(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), lock_->error());
}

Napi::Value FileLockObject::release(const Napi::CallbackInfo& info) {
    lock_->release();
    return info.Env().Undefined();
}

}  // namespace compact
