// Eight-bit floats E4M3 (OCP 8-bit Floating Point Specification, revision 1.0, 2023): a sign, four
// bits of exponent with a bias of 7, three of mantissa; subnormals in steps of 2^-9, 448 the
// largest. There is no infinity, and the two NaN are never written.
#pragma once

#include "native/base/bf16.h"

namespace compact {

inline constexpr float kFp8Largest = 448.0f;

// The nearest, ties to even, of a number from -448 to 448.
COMPACT_HOST_DEVICE uint8_t fp8_from_float(float value) {
    const uint32_t bits = float_bits(value);
    const uint32_t sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
    // Below 2^-6 steps are 2^-9, which is the last bit of a number from 2^14 to 2^15.
    const uint32_t steps = float_bits(float_from_bits(magnitude) + 16384.0f) - 0x46800000u;
    const uint32_t rounded = (magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20;
    const uint32_t code = magnitude < 0x3c800000u ? steps : rounded - 8u * (127u - 7u);
    return static_cast<uint8_t>(sign | code);
}

COMPACT_HOST_DEVICE float fp8_to_float(uint8_t code) {
    const uint32_t magnitude = code & 0x7fu;
    const float subnormal = static_cast<float>(magnitude) * 0x1p-9f;
    const float normal = float_from_bits((magnitude << 20) + (120u << 23));
    const float value = magnitude < 8 ? subnormal : normal;
    return (code & 0x80u) != 0 ? -value : value;
}

}  // namespace compact
