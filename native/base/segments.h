// Segments of a step function of four values: an element is in the segment whose number is how many
// of three rising thresholds are below it. Two bits each, four a byte, the first in the lowest;
// what is left of the last byte is zero.
#pragma once

#include <cstdint>

#include "native/base/host_device.h"

namespace compact {

inline constexpr int64_t kSegmentsPerByte = 4;

COMPACT_HOST_DEVICE int64_t segment_bytes(int64_t elements) {
    return (elements + kSegmentsPerByte - 1) / kSegmentsPerByte;
}

COMPACT_HOST_DEVICE int segment_of(float x, const float (&thresholds)[3]) {
    return (x > thresholds[0] ? 1 : 0) + (x > thresholds[1] ? 1 : 0) + (x > thresholds[2] ? 1 : 0);
}

// The segment of element i of those of a byte.
COMPACT_HOST_DEVICE int segment_in(uint8_t byte, int i) { return byte >> (2 * i) & 3; }

}  // namespace compact
