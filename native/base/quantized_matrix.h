// A matrix in codes, row-major, that products decode as they read it: int8 as the op quantize makes
// it, or NF4 as quantizeNf4 does.
#pragma once

#include <cstdint>

#include "native/base/host_device.h"
#include "native/base/nf4.h"

namespace compact {

struct QuantizedMatrix {
    const void* codes = nullptr;  // (rows, stride) int8, or (rows, stride / 2) of two NF4 codes
    int64_t stride = 0;       // elements from row to row: the columns, of NF4 the next even number
    int32_t group_shift = 0;  // 2^shift consecutive elements share a scale
    // int8: the scale of each group. NF4: the ranges of the magnitudes, two numbers each.
    const float* scales = nullptr;
    const uint8_t* magnitudes = nullptr;  // NF4: of each block, in codes; nullptr: int8

    COMPACT_HOST_DEVICE bool is_nf4() const { return magnitudes != nullptr; }

    // What the codes of a group are multiplied by.
    COMPACT_HOST_DEVICE float scale(int64_t group) const {
        if (!is_nf4()) return scales[group];
        const float* range = scales + group / kNf4Magnitudes * 2;
        return nf4_magnitude({range[0], range[1]}, magnitudes[group]);
    }
};

}  // namespace compact
