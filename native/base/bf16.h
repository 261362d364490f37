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

// What NaN becomes when it is rounded here: the one that GPUs make of all.
inline constexpr uint16_t kBf16Nan = 0x7fff;

// `sum` is the pattern of an fp32 plus what rounds it, which could carry a NaN into infinity.
COMPACT_HOST_DEVICE uint16_t bf16_upper_half(uint32_t bits, uint32_t sum) {
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return nan ? kBf16Nan : static_cast<uint16_t>(sum >> 16);
}

// Nearest, ties to even.
COMPACT_HOST_DEVICE uint16_t bf16_from_float(float value) {
#if defined(__CUDA_ARCH__)
    uint16_t rounded;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(value));
    return rounded;
#else
    const uint32_t bits = float_bits(value);
    return bf16_upper_half(bits, bits + 0x7fffu + ((bits >> 16) & 1u));
#endif
}

// Two neighbours in memory, each as above: one instruction of a GPU.
COMPACT_HOST_DEVICE uint32_t bf16_pair(float first, float second) {
#if defined(__CUDA_ARCH__)
    uint32_t rounded;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(rounded) : "f"(second), "f"(first));
    return rounded;
#else
    return bf16_from_float(first) | static_cast<uint32_t>(bf16_from_float(second)) << 16;
#endif
}

}  // namespace compact
