#include "native/backend/registry.h"

#include <map>
#include <mutex>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace compact {
namespace {

// Of the process, not of an environment: threads of Node share what dlopen has loaded.
struct Modules {
    std::mutex mutex;
    std::map<std::string, const CpBackend*, std::less<>> backends;
};

Modules& modules() {
    static Modules instance;
    return instance;
}

constexpr const char* kEntry = "compact_cuda_backend";
using Entry = const CpBackend* (*)();

// The module's entry, or nullptr and the reason. It is never closed: its threads and the driver's
// may outlive every engine.
Entry open_module(const std::string& path, std::string& reason) {
#if defined(__unix__) || defined(__APPLE__)
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* entry = library == nullptr ? nullptr : dlsym(library, kEntry);
    if (entry == nullptr) reason = dlerror();
    return reinterpret_cast<Entry>(entry);
#else
    reason = "modules are for Linux only: " + path;
    return nullptr;
#endif
}

}  // namespace

const CpBackend* find_backend(std::string_view name) {
    if (name == "cpu") return compact_cpu_backend();
    Modules& loaded = modules();
    const std::lock_guard lock(loaded.mutex);
    const auto found = loaded.backends.find(name);
    return found == loaded.backends.end() ? nullptr : found->second;
}

std::optional<ModuleProblem> load_module(const std::string& name, const std::string& path) {
    Modules& loaded = modules();
    const std::lock_guard lock(loaded.mutex);
    if (loaded.backends.contains(name)) return std::nullopt;
    std::string reason;
    const Entry entry = open_module(path, reason);
    if (entry == nullptr) return ModuleProblem{"module-broken", "", reason};
    const CpBackend* backend = entry();
    // Nothing behind the version may be read when it is another.
    if (backend->version != CP_BACKEND_VERSION)
        return ModuleProblem{"module-version", std::to_string(CP_BACKEND_VERSION),
                             std::to_string(backend->version)};
    if (name != backend->name)
        return ModuleProblem{"module-broken", "", path + " is a module of " + backend->name};
    loaded.backends.emplace(name, backend);
    return std::nullopt;
}

}  // namespace compact
