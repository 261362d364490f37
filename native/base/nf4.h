// NF4, the sixteen levels of QLoRA (Dettmers et al. 2023, arXiv 2305.14314, appendix E): quantiles
// of the normal distribution scaled to [-1, 1], with an exact zero.
//
// A code is four bits. Two share a byte, the first in its lower half. A block of 64 weights has one
// magnitude, the largest of the block, by which levels are multiplied; magnitudes are quantised in
// turn to eight bits, 256 at a time: magnitude = range[0] + code range[1].
// What is left of the last 256 is zero. A row of an odd number of weights ends in one more, a zero,
// so that every row begins with a byte; blocks run over rows with that zero.
#pragma once

#include <cstdint>

#include "native/base/host_device.h"

namespace compact {

inline constexpr int64_t kNf4Block = 64;                         // weights that share a magnitude
inline constexpr int64_t kNf4Magnitudes = 256;                   // blocks that share a range
inline constexpr int64_t kNf4Span = kNf4Block * kNf4Magnitudes;  // weights that share a range
inline constexpr int kNf4Zero = 7;                               // the code of 0

struct Nf4Levels {
    float level[16];
};

inline constexpr Nf4Levels kNf4Levels = {
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
     0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f}};

// The nearest level of a number in [-1, 1]; the lower one of two that are as near.
COMPACT_HOST_DEVICE int nf4_code(float x, const Nf4Levels& levels) {
    int code = 0;
    for (int i = 0; i < 15; ++i) {
        const float middle = 0.5f * (levels.level[i] + levels.level[i + 1]);
        code += x > middle ? 1 : 0;
    }
    return code;
}

// The range of magnitudes from the smallest to the largest, in 256 steps.
struct Nf4Range {
    float smallest, step;
};

// Magnitudes that are not finite make everything that shares the range the same, so that it does
// not come back finite by accident.
COMPACT_HOST_DEVICE Nf4Range nf4_range(float smallest, float largest) {
    const bool finite = largest <= 3.402823466e+38f;
    return finite ? Nf4Range{smallest, (largest - smallest) / 255.0f} : Nf4Range{largest, 0.0f};
}

COMPACT_HOST_DEVICE float nf4_magnitude(const Nf4Range& range, uint8_t code) {
    return range.smallest + static_cast<float>(code) * range.step;
}

}  // namespace compact
