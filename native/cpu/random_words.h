// Many Philox counters at once, for dropout and stochastic rounding.
#pragma once

#include "native/base/philox.h"
#include "native/cpu/simd.h"

namespace compact::COMPACT_ISA {

// Counters of one block; a loop over them becomes vector instructions.
inline constexpr int kPhiloxBlock = 16;

// Words of `count` counters that follow `first` in their lowest word, four per counter in order, as
// eight 16-bit halves per counter on the little-endian machines that are supported. `words` has room
// for count rounded up to whole blocks.
inline void random_words(PhiloxWords first, uint32_t key0, uint32_t key1, int64_t count,
                         uint32_t* words) {
    for (int64_t begin = 0; begin < count; begin += kPhiloxBlock) {
        uint32_t c0[kPhiloxBlock], c1[kPhiloxBlock], c2[kPhiloxBlock], c3[kPhiloxBlock];
        for (int i = 0; i < kPhiloxBlock; ++i) {
            c0[i] = first.word[0] + static_cast<uint32_t>(begin + i);
            c1[i] = first.word[1];
            c2[i] = first.word[2];
            c3[i] = first.word[3];
        }
        uint32_t round_key0 = key0, round_key1 = key1;
        for (int round = 0; round < kPhiloxRounds; ++round) {
            for (int i = 0; i < kPhiloxBlock; ++i) {
                const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0[i];
                const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2[i];
                c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ round_key0;
                c1[i] = static_cast<uint32_t>(product1);
                c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ round_key1;
                c3[i] = static_cast<uint32_t>(product0);
            }
            round_key0 += kPhiloxWeyl0;
            round_key1 += kPhiloxWeyl1;
        }
        uint32_t* block = words + 4 * begin;
        for (int i = 0; i < kPhiloxBlock; ++i) {
            block[4 * i] = c0[i];
            block[4 * i + 1] = c1[i];
            block[4 * i + 2] = c2[i];
            block[4 * i + 3] = c3[i];
        }
    }
}

}  // namespace compact::COMPACT_ISA
