// The highest rates of multiply-add instructions, from loops that touch registers only.
#pragma once

#include <cstdint>

namespace compact {

struct PeakLoop {
    const char* name;
    // Runs `rounds` rounds and returns how many floating-point operations that were (a multiply-add
    // counts as two). Nullptr where this build has no such loop.
    double (*run)(int64_t rounds);
};

extern const PeakLoop kPeakF32Avx2;    // 256-bit fused multiply-add
extern const PeakLoop kPeakF32Avx512;  // 512-bit fused multiply-add
extern const PeakLoop kPeakBf16Dot;    // vdpbf16ps
extern const PeakLoop kPeakBf16Amx;    // tdpbf16ps; the thread needs permission for tiles

}  // namespace compact
