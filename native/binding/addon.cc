// Entry of the addon: the whole interface that lib/runtime/addon.ts sees.
#include <napi.h>

#include "native/binding/describe.h"
#include "native/binding/engine_object.h"
#include "native/binding/file_lock_object.h"
#include "native/binding/peak_rate.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
    exports.Set("NativeEngine", compact::EngineObject::define(env));
    exports.Set("FileLock", compact::FileLockObject::define(env));
    exports.Set("loadModule", Napi::Function::New<compact::load_module>(env, "loadModule"));
    exports.Set("describe", Napi::Function::New<compact::describe>(env, "describe"));
    exports.Set("probe", Napi::Function::New<compact::probe>(env, "probe"));
    exports.Set("ops", Napi::Function::New<compact::ops>(env, "ops"));
    exports.Set("workspaceBytes",
                Napi::Function::New<compact::workspace_bytes>(env, "workspaceBytes"));
    exports.Set("cpuFeatures", Napi::Function::New<compact::cpu_features>(env, "cpuFeatures"));
    exports.Set("projectionTable",
                Napi::Function::New<compact::projection_table>(env, "projectionTable"));
    exports.Set("peakRate", Napi::Function::New<compact::peak_rate>(env, "peakRate"));
    return exports;
}

NODE_API_MODULE(compact_train, init)
