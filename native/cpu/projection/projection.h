// The random projection, made anew wherever it is needed.
//
// Entry (i, j) of Phat depends on the seed, the tensor and the epoch alone: half j mod 8 of Philox
// (counter = (j / 8, i, tensor, epoch), key = seed) goes through the inverse normal distribution
// and is rounded to bf16. P = Phat / sqrt(rank). Every instruction set makes the same bits.
#pragma once

#include <cstdint>

#include "native/backend/call.h"
#include "native/base/stochastic_rounding.h"
#include "native/cpu/runtime/cpu_device.h"

namespace compact {

enum Distribution : int32_t { kGaussian = 0, kRademacher = 1, kIdentity = 2 };

struct ProjectionKey {
    uint32_t seed_low, seed_high, tensor_id, epoch;
    int32_t distribution;  // Distribution
};

// The attributes seedLow, seedHigh, tensorId, distribution of a call, and the epoch of that name.
ProjectionKey projection_key(const CpCall& call, const char* epoch_name = "epoch");

// Factor from Phat to P. The identity is made with ones, so that it is exact in bf16.
float projection_scale(const ProjectionKey& key, int64_t rank);

// A dense block of entries: rows row0 ... row0 + rows - 1, columns in groups of eight,
// 8 * group0 ... 8 * (group0 + groups) - 1. All blocks below are (rows, 8 * groups), row-major.
struct RandomBlock {
    int64_t row0, rows, group0, groups;
};

// Phat as bf16.
void projection_block(InstructionSet set, const ProjectionKey& key, const RandomBlock& block,
                      uint16_t* out);

// The 16-bit random numbers of stochastic rounding.
void rounding_block(InstructionSet set, const RoundingKey& key, const RandomBlock& block,
                    uint16_t* out);

struct NormalStream {
    uint32_t seed_low, seed_high, tensor_id;
};

// Standard normal fp32 numbers: elements 8 * group0 ... 8 * (group0 + groups) - 1 of a stream.
void normal_floats(InstructionSet set, const NormalStream& stream, int64_t group0, int64_t groups,
                   float* out);

// The bf16 normal number of each of the 65,536 values of the random bits.
void projection_table(InstructionSet set, uint16_t* out);

}  // namespace compact
