// bf16: the upper half of an fp32, here as raw bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "native/base/host_device.h"

namespace compact {

COMPACT_HOST_DEVICE uint32_t float_bits(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

COMPACT_HOST_DEVICE float float_from_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

COMPACT_HOST_DEVICE float bf16_to_float(uint16_t bits) {
    return float_from_bits(static_cast<uint32_t>(bits) << 16);
}

// `sum` is the pattern of an fp32 plus what rounds it. NaN keeps its sign and becomes quiet, for
// rounding could carry it into infinity.
COMPACT_HOST_DEVICE uint16_t bf16_upper_half(uint32_t bits, uint32_t sum) {
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return static_cast<uint16_t>((nan ? bits | 0x400000u : sum) >> 16);
}

// Nearest, ties to even.
COMPACT_HOST_DEVICE uint16_t bf16_from_float(float value) {
    const uint32_t bits = float_bits(value);
    return bf16_upper_half(bits, bits + 0x7fffu + ((bits >> 16) & 1u));
}

}  // namespace compact
