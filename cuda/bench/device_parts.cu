#include "cuda/bench/device_parts.h"
#include "cuda/projection/projection.h"

namespace compact::bench {

int64_t l2_cache_bytes(const CpDevice& device) { return device.properties.l2CacheSize; }

CpStatus make_projection_panel(CpDevice& device, int64_t rows, int64_t columns, void* out,
                               CpError* error) {
    const PhatKey key{1, 0, 0, 0, 0};
    const PhatPanel panel{0, rows, 0, ceil_div(columns, 8)};
    return make_panel(device, "panel", key, panel, static_cast<uint16_t*>(out), error);
}

}  // namespace compact::bench
