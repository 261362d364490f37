// The arithmetic of channelFactors for one channel.
// Zhu et al., APOLLO (2024), algorithm 1; Chen et al., Fira (2024), for the limit of growth.
#pragma once

#include <cmath>

#include "native/base/host_device.h"

namespace compact {

struct ChannelScaling {
    double epsilon;
    double growth_limit;
};

// Factor of a channel from the squared lengths of its compressed gradient and of the direction of
// that. `clipping` multiplies the gradient.
COMPACT_HOST_DEVICE double channel_factor(double compressed, double direction, double clipping,
                                          const ChannelScaling& scaling) {
    using std::sqrt;
    return clipping * sqrt(direction) / (clipping * sqrt(compressed) + scaling.epsilon);
}

// What a step of a norm is divided by; a previous norm of zero, as before the first step, limits
// nothing.
COMPACT_HOST_DEVICE double growth_limiter(double norm, double previous_norm,
                                          const ChannelScaling& scaling) {
    if (previous_norm == 0.0) return 1.0;
    const double growth = norm / (previous_norm + scaling.epsilon) / scaling.growth_limit;
    return growth > 1.0 ? growth : 1.0;
}

}  // namespace compact
