// Many Philox counters at once, for dropout and stochastic rounding.
#pragma once

#include <cstring>

#include "native/base/philox.h"
#include "native/cpu/simd/simd.h"

namespace compact::COMPACT_ISA {

// Counters of one block.
inline constexpr int kPhiloxBlock = 8;

#if defined(COMPACT_ISA_AVX512) || defined(COMPACT_ISA_AVX2)

// Each word of a counter stands in the low half of a 64-bit lane, where one instruction multiplies
// it to 64 bits; the high halves may hold anything.
#if defined(COMPACT_ISA_AVX512)
using Lanes64 = __m512i;
inline Lanes64 splat64(uint32_t x) { return _mm512_set1_epi64(x); }
inline Lanes64 lane_numbers() { return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7); }
inline Lanes64 add64(Lanes64 a, Lanes64 b) { return _mm512_add_epi32(a, b); }
inline Lanes64 multiply_low(Lanes64 a, Lanes64 b) { return _mm512_mul_epu32(a, b); }
inline Lanes64 high_xor(Lanes64 a, Lanes64 b, Lanes64 c) {
    return _mm512_ternarylogic_epi64(_mm512_srli_epi64(a, 32), b, c, 0x96);
}
// Words 0 ... 3 of every counter, one counter after the other.
inline void store_words(uint32_t* words, Lanes64 c0, Lanes64 c1, Lanes64 c2, Lanes64 c3) {
    const Lanes64 low = _mm512_mask_mov_epi32(c0, 0xaaaa, _mm512_slli_epi64(c1, 32));
    const Lanes64 high = _mm512_mask_mov_epi32(c2, 0xaaaa, _mm512_slli_epi64(c3, 32));
    const Lanes64 first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const Lanes64 second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512(words, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(words + 16, _mm512_permutex2var_epi64(low, second, high));
}
#else
using Lanes64 = __m256i;
inline Lanes64 splat64(uint32_t x) { return _mm256_set1_epi64x(x); }
inline Lanes64 lane_numbers() { return _mm256_setr_epi64x(0, 1, 2, 3); }
inline Lanes64 add64(Lanes64 a, Lanes64 b) { return _mm256_add_epi32(a, b); }
inline Lanes64 multiply_low(Lanes64 a, Lanes64 b) { return _mm256_mul_epu32(a, b); }
inline Lanes64 high_xor(Lanes64 a, Lanes64 b, Lanes64 c) {
    return _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(a, 32), b), c);
}
// Words 0 ... 3 of every counter, one counter after the other.
inline void store_words(uint32_t* words, Lanes64 c0, Lanes64 c1, Lanes64 c2, Lanes64 c3) {
    const Lanes64 low = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa);
    const Lanes64 high = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
    const Lanes64 even = _mm256_unpacklo_epi64(low, high), odd = _mm256_unpackhi_epi64(low, high);
    auto* to = reinterpret_cast<__m256i*>(words);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}
#endif

inline void random_block(PhiloxWords first, uint32_t key0, uint32_t key1, uint32_t* words) {
    constexpr int kLanes = sizeof(Lanes64) / 8;
    const Lanes64 multiplier0 = splat64(kPhiloxMultiplier0),
                  multiplier1 = splat64(kPhiloxMultiplier1);
    for (int lane = 0; lane < kPhiloxBlock; lane += kLanes) {
        Lanes64 c0 = add64(splat64(first.word[0] + static_cast<uint32_t>(lane)), lane_numbers());
        Lanes64 c1 = splat64(first.word[1]), c2 = splat64(first.word[2]);
        Lanes64 c3 = splat64(first.word[3]);
        uint32_t round_key0 = key0, round_key1 = key1;
        for (int round = 0; round < kPhiloxRounds; ++round) {
            const Lanes64 product0 = multiply_low(c0, multiplier0);
            const Lanes64 product1 = multiply_low(c2, multiplier1);
            c0 = high_xor(product1, c1, splat64(round_key0));
            c1 = product1;
            c2 = high_xor(product0, c3, splat64(round_key1));
            c3 = product0;
            round_key0 += kPhiloxWeyl0;
            round_key1 += kPhiloxWeyl1;
        }
        store_words(words + 4 * lane, c0, c1, c2, c3);
    }
}

#else

inline void random_block(PhiloxWords first, uint32_t key0, uint32_t key1, uint32_t* words) {
    for (int lane = 0; lane < kPhiloxBlock; ++lane) {
        const PhiloxWords result = philox(first, key0, key1);
        std::memcpy(words + 4 * lane, result.word, sizeof result.word);
        ++first.word[0];
    }
}

#endif

// Words of `count` counters that follow `first` in their lowest word, four per counter in order, as
// eight 16-bit halves per counter on the little-endian machines that are supported. `words` has
// room for count rounded up to whole blocks.
inline void random_words(PhiloxWords first, uint32_t key0, uint32_t key1, int64_t count,
                         uint32_t* words) {
    for (int64_t begin = 0; begin < count; begin += kPhiloxBlock) {
        random_block(first, key0, key1, words + 4 * begin);
        first.word[0] += kPhiloxBlock;
    }
}

}  // namespace compact::COMPACT_ISA
