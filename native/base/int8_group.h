// When a group of int8 weights that train gets another scale.
#pragma once

#include "native/base/host_device.h"

namespace compact {

// Of a group whose largest magnitude is now `largest`: the old scale while that uses the upper half
// of the codes, else the one for which it is code 127.
COMPACT_HOST_DEVICE float int8_scale(float largest, float old_scale) {
    const bool fits = largest <= 127.0f * old_scale && largest >= 64.0f * old_scale;
    return fits ? old_scale : largest / 127.0f;
}

}  // namespace compact
