#include "native/backend/registry.h"

namespace compact {
namespace {

constexpr const char* kNames[] = {"cpu", "cuda", "cuda-emulated"};

}  // namespace

std::span<const char* const> backend_names() { return kNames; }

const CpBackend* find_backend(std::string_view name) {
    const CpBackend* backend = name == "cpu" ? compact_cpu_backend() : nullptr;
    if (backend == nullptr || backend->version != CP_BACKEND_VERSION) return nullptr;
    return backend;
}

}  // namespace compact
