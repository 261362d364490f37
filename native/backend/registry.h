// The backends of this process: the CPU's, and those of loaded modules.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "native/backend/backend.h"

extern "C" const CpBackend* compact_cpu_backend();

namespace compact {

// nullptr when there is no such backend, or its module has not been loaded.
const CpBackend* find_backend(std::string_view name);

struct ModuleProblem {
    std::string reason;  // "module-broken": it cannot be loaded; "module-version": another contract
    std::string expected;
    std::string received;
};

// Loads the shared module at `path`, which holds the backend `name`. Once loaded, a module stays:
// later calls change nothing. Thread-safe.
std::optional<ModuleProblem> load_module(const std::string& name, const std::string& path);

}  // namespace compact
