// The backends of this build.
#pragma once

#include <span>
#include <string_view>

#include "native/backend/backend.h"

extern "C" const CpBackend* compact_cpu_backend();

namespace compact {

// Names that a plan may carry, whether or not this build has them.
std::span<const char* const> backend_names();

// nullptr when this build has no such backend, or one of another version.
const CpBackend* find_backend(std::string_view name);

}  // namespace compact
