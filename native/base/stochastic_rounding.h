// Rounding to bf16 that is right on average: up in magnitude with the probability of the part that
// is cut off, so small updates of a bf16 weight are not lost.
#pragma once

#include <cstdint>

#include "native/base/bf16.h"
#include "native/base/host_device.h"
#include "native/base/philox.h"

namespace compact {

// Sets the random numbers of rounding apart from those of projections.
inline constexpr uint32_t kRoundingStream = 0x80000000u;

struct RoundingKey {
    uint32_t seed, tensor_id, step;
};

// The eight 16-bit numbers of columns 8 * group ... 8 * group + 7 of a row.
COMPACT_HOST_DEVICE PhiloxWords rounding_words(const RoundingKey& key, uint32_t row,
                                               uint32_t group) {
    return philox({{group, row, key.tensor_id | kRoundingStream, key.step}}, key.seed, 0);
}

COMPACT_HOST_DEVICE uint16_t bf16_stochastic(float value, uint16_t random) {
    const uint32_t bits = float_bits(value);
    return bf16_upper_half(bits, bits + random);
}

}  // namespace compact
