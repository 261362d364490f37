// The JavaScript class over one lock of a file. The lock is free once the object is: released, no
// longer referred to, or gone with its environment.
#pragma once

#include <napi.h>

#include <optional>

#include "native/core/file_lock.h"

namespace compact {

class FileLockObject : public Napi::ObjectWrap<FileLockObject> {
  public:
    static Napi::Function define(Napi::Env env);

    // (path, text)
    explicit FileLockObject(const Napi::CallbackInfo& info);

  private:
    Napi::Value state(const Napi::CallbackInfo& info);
    Napi::Value holder(const Napi::CallbackInfo& info);
    Napi::Value error(const Napi::CallbackInfo& info);
    Napi::Value release(const Napi::CallbackInfo& info);

    std::optional<FileLock> lock_;
};

}  // namespace compact
