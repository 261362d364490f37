// Levels of NF4 codes in the lanes of a vector.
#pragma once

#include <cstring>

#include "native/base/nf4.h"
#include "native/cpu/simd/simd.h"

namespace compact::COMPACT_ISA {

// The levels of kWidth codes, two a byte, the first in the lower half.
#if defined(COMPACT_ISA_AVX512)
inline Vec nf4_levels(const uint8_t* codes) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    const __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
    const __m512i halves = _mm512_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4);
    // A permutation reads the lowest four bits of a lane.
    return {
        _mm512_permutexvar_ps(_mm512_srlv_epi32(twice, halves), _mm512_loadu_ps(kNf4Levels.level))};
}
#elif defined(COMPACT_ISA_AVX2)
inline Vec nf4_levels(const uint8_t* codes) {
    int32_t four;
    std::memcpy(&four, codes, sizeof four);
    const __m128i bytes = _mm_cvtsi32_si128(four);
    const __m256i twice = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
    const __m256i index = _mm256_srlv_epi32(twice, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
    // A permutation reads the lowest three bits of a lane; the fourth, as the sign, chooses.
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(kNf4Levels.level), index);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(kNf4Levels.level + 8), index);
    return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)))};
}
#else
inline Vec nf4_levels(const uint8_t* codes) {
    return each_lane([&](int i) { return kNf4Levels.level[codes[i / 2] >> (i % 2 * 4) & 15]; });
}
#endif

inline Vec load_nf4(const uint8_t* codes, AllLanes) { return nf4_levels(codes); }
inline Vec load_nf4(const uint8_t* codes, FirstLanes lanes) {
    uint8_t bytes[kWidth / 2] = {};
    std::memcpy(bytes, codes, static_cast<size_t>(lanes.count + 1) / 2);
    return nf4_levels(bytes);
}

}  // namespace compact::COMPACT_ISA
