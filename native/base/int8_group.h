// Groups of int8 weights that train: when one gets another scale, and rows of a matrix that are
// whole groups.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "native/base/host_device.h"

namespace compact {

// Of a group whose largest magnitude is now `largest`: the old scale while that uses the upper half
// of the codes, else the one for which it is code 127.
COMPACT_HOST_DEVICE float int8_scale(float largest, float old_scale) {
    const bool fits = largest <= 127.0f * old_scale && largest >= 64.0f * old_scale;
    return fits ? old_scale : largest / 127.0f;
}

// So many rows that they end where a group does: `least` or little more, or all rows.
inline int64_t whole_group_rows(int64_t rows, int64_t columns, int64_t group_size, int64_t least) {
    const int64_t unit = group_size / std::gcd(group_size, columns);
    return std::min(rows, (least + unit - 1) / unit * unit);
}

}  // namespace compact
