// Philox4x32-10, a counter-based generator: 128 random bits as a function of a 128-bit counter and
// a 64-bit key, so any entry of a random matrix can be made alone, in any order, on any device.
// Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
#pragma once

#include <cstdint>

#include "native/base/host_device.h"

namespace compact {

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85u;
inline constexpr int kPhiloxRounds = 10;

struct PhiloxWords {
    uint32_t word[4];
};

COMPACT_HOST_DEVICE PhiloxWords philox(PhiloxWords counter, uint32_t key0, uint32_t key1) {
    uint32_t c0 = counter.word[0], c1 = counter.word[1];
    uint32_t c2 = counter.word[2], c3 = counter.word[3];
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0;
        const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2;
        c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ key0;
        c1 = static_cast<uint32_t>(product1);
        c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ key1;
        c3 = static_cast<uint32_t>(product0);
        key0 += kPhiloxWeyl0;
        key1 += kPhiloxWeyl1;
    }
    return {{c0, c1, c2, c3}};
}

// The 16-bit half 0 ... 7 of the words: low half first.
COMPACT_HOST_DEVICE uint16_t philox_half(const PhiloxWords& words, int half) {
    return static_cast<uint16_t>(words.word[half >> 1] >> (16 * (half & 1)));
}

}  // namespace compact
