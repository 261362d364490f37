// What the benchmark needs of the device beyond the backend's table.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"

namespace compact::bench {

int64_t l2_cache_bytes(const CpDevice& device);

// A panel of Phat alone, (rows, columns) bf16, as products have it made.
CpStatus make_projection_panel(CpDevice& device, int64_t rows, int64_t columns, void* out,
                               CpError* error);

}  // namespace compact::bench
