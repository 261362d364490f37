// What both backends compute alike for a second moment of row and column means.
#pragma once

#include <cmath>

#include "native/base/host_device.h"

namespace compact {

// A running mean, moved by the mean of this step.
COMPACT_HOST_DEVICE float moved_mean(float old, double now, double decay) {
    return static_cast<float>(decay * static_cast<double>(old) + (1.0 - decay) * now);
}

// max(1, x) where NaN stays.
COMPACT_HOST_DEVICE double at_least_one(double x) { return x <= 1.0 ? 1.0 : x; }

}  // namespace compact
