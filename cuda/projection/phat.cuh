// Eight neighbouring entries of Phat on the device: one call of Philox, eight rows of the table.
#pragma once

#include "cuda/projection/normal_table.cuh"
#include "cuda/projection/projection.h"
#include "native/base/philox.h"

namespace compact {

inline constexpr uint16_t kPhatOne = 0x3f80;  // bf16

// Entries of a word's lower and upper half.
template <int32_t kDistribution>
__device__ __forceinline__ uint32_t phat_pair(uint32_t word, const NormalCubic* table) {
    constexpr uint32_t kSigns = 0x80008000u;
    if constexpr (kDistribution == kRademacher) {
        return (word & kSigns) | kPhatOne | static_cast<uint32_t>(kPhatOne) << 16;
    } else {
        // Rounding is symmetric: signs are as well set afterwards, two at once.
        return bf16_pair(normal_from_bits(word & 0x7fffu, table),
                         normal_from_bits(word >> 16 & 0x7fffu, table)) ^
               (word & kSigns);
    }
}

__device__ __forceinline__ uint4 identity_group(int64_t row, int64_t group) {
    const int64_t half = row - 8 * group;  // of the one, if it is in this group
    const auto word = [&](int64_t i) {
        return half >> 1 == i ? static_cast<uint32_t>(kPhatOne) << (16 * (half & 1)) : 0u;
    };
    return {word(0), word(1), word(2), word(3)};
}

// Columns 8 * group ... 8 * group + 7 of a row. `table` is in shared memory; Gaussian alone reads
// it.
template <int32_t kDistribution>
__device__ __forceinline__ uint4 phat_group(const PhatKey& key, int64_t row, int64_t group,
                                            const NormalCubic* table) {
    if constexpr (kDistribution == kIdentity) {
        return identity_group(row, group);
    } else {
        const PhiloxWords words = philox(
            {{static_cast<uint32_t>(group), static_cast<uint32_t>(row), key.tensor_id, key.epoch}},
            key.seed_low, key.seed_high);
        return {phat_pair<kDistribution>(words.word[0], table),
                phat_pair<kDistribution>(words.word[1], table),
                phat_pair<kDistribution>(words.word[2], table),
                phat_pair<kDistribution>(words.word[3], table)};
    }
}

}  // namespace compact
