// What projection.cc needs from each instruction set.
#pragma once

#include <cstdint>

#include "native/cpu/projection/projection.h"

namespace compact {

// What becomes of 16 random bits.
enum class Draw { kBits, kNormal, kSign };

struct RandomStream {
    uint32_t key0, key1;    // Philox key
    uint32_t word2, word3;  // upper half of the counter; the lower is (group, row)
};

struct ProjectionKernels {
    // (rows, 8 * groups): the bits, or bf16 patterns.
    void (*block)(Draw draw, const RandomStream& stream, const RandomBlock& block, uint16_t* out);
    // `bits` and `out` hold `count` elements, a multiple of 64.
    void (*normal_bf16)(const uint16_t* bits, int64_t count, uint16_t* out);
    void (*normal_f32)(const uint16_t* bits, int64_t count, float* out);
};

extern const ProjectionKernels kProjectionScalar;
#if defined(__x86_64__)
extern const ProjectionKernels kProjectionAvx2;
extern const ProjectionKernels kProjectionAvx512;
#endif

}  // namespace compact
