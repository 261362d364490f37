// How much of a device is free, seen from outside: asking the CUDA runtime would make a context,
// which itself takes hundreds of megabytes.
#pragma once

#include <cstdint>

namespace compact {

// Bytes of device `index` that no process holds; -1 where that cannot be told.
int64_t free_bytes_without_context(int index);

}  // namespace compact
