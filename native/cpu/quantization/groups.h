// Groups of consecutive elements that share a scale.
#pragma once

#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

// Calls body(group, begin, end) for the elements of every group.
template <class Body>
void for_groups(CpDevice& device, int64_t count, int64_t group_size, Body body) {
    const int64_t groups = num_chunks(count, group_size);
    for_chunks(device, groups, rows_per_chunk(group_size), [=](int64_t begin, int64_t end, int) {
        for (int64_t group = begin; group < end; ++group) {
            body(group, group * group_size, std::min(count, (group + 1) * group_size));
        }
    });
}

// NaN where there is one.
template <class T>
float largest_of(const T* x, int64_t count) {
    Vec magnitude = splat(0.0f);
    for_lanes(count, [&](int64_t i, auto lanes) {
        magnitude = max_magnitude(magnitude, load(x + i, lanes));
    });
    return largest_magnitude(magnitude);
}

}  // namespace compact::COMPACT_ISA
