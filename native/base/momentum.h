// The arithmetic of momentum for one element, or one vector of elements.
#pragma once

#include "native/base/host_device.h"

namespace compact {

// Number is float or a vector with the same operators. Moves the buffer by a gradient that is
// dampened already, and returns the direction of the step.
template <class Number>
COMPACT_HOST_DEVICE Number momentum_direction(Number gradient, Number& buffer, Number factor,
                                              bool nesterov) {
    buffer = factor * buffer + gradient;
    return nesterov ? factor * buffer + gradient : buffer;
}

}  // namespace compact
