// simd.h for AVX2 with FMA: 8 lanes.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace compact::COMPACT_ISA {

struct Vec {
    __m256 v;
};
using Mask = __m256;
inline constexpr int64_t kWidth = 8;

inline __m256i first_lanes(FirstLanes lanes) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes.count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Vec splat(float x) { return {_mm256_set1_ps(x)}; }
inline Vec lane_index() { return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7)}; }

// ---- Loads and stores. Lanes that take no part read as 0 and are not written. -------------------

inline Vec load(const float* p, AllLanes) { return {_mm256_loadu_ps(p)}; }
inline Vec load(const float* p, FirstLanes lanes) {
    return {_mm256_maskload_ps(p, first_lanes(lanes))};
}
inline Vec widen(__m128i bits) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}
inline Vec load(const BFloat16* p, AllLanes) {
    return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Vec load(const BFloat16* p, FirstLanes lanes) {
    alignas(16) uint16_t bits[8] = {};
    std::memcpy(bits, p, static_cast<size_t>(lanes.count) * sizeof bits[0]);
    return widen(_mm_load_si128(reinterpret_cast<const __m128i*>(bits)));
}
inline Vec load(const int8_t* p, AllLanes) {
    return {_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
inline Vec load(const int8_t* p, FirstLanes lanes) {
    alignas(8) int8_t codes[8] = {};
    std::memcpy(codes, p, static_cast<size_t>(lanes.count));
    return load(codes, AllLanes{});
}

// table[p[i]], of a table of 256.
inline Vec lookup(const float* table, const uint8_t* p, AllLanes) {
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm256_i32gather_ps(table, _mm256_cvtepu8_epi32(codes), 4)};
}
inline Vec lookup(const float* table, const uint8_t* p, FirstLanes lanes) {
    alignas(8) uint8_t codes[8] = {};
    std::memcpy(codes, p, static_cast<size_t>(lanes.count));
    const __m256 found = lookup(table, codes, AllLanes{}).v;
    return {_mm256_and_ps(found, _mm256_castsi256_ps(first_lanes(lanes)))};
}

inline void store(float* p, Vec x, AllLanes) { _mm256_storeu_ps(p, x.v); }
inline void store(float* p, Vec x, FirstLanes lanes) {
    _mm256_maskstore_ps(p, first_lanes(lanes), x.v);
}

// Upper halves of `sums` (bits plus what rounds them), or the one NaN there is.
inline __m128i upper_halves(Vec x, __m256i sums) {
    const __m256i quiet = _mm256_set1_epi32(kBf16Nan << 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q));
    const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(sums, quiet, nan), 16);
    const __m256i packed = _mm256_packus_epi32(upper, upper);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
inline __m128i round_nearest(Vec x) {
    const __m256i bits = _mm256_castps_si256(x.v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    return upper_halves(x, _mm256_add_epi32(bits, half));
}
inline __m128i round_stochastic(Vec x, const uint16_t* random) {
    const __m256i dither =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(random)));
    return upper_halves(x, _mm256_add_epi32(_mm256_castps_si256(x.v), dither));
}
inline void store_halves(BFloat16* p, __m128i halves, AllLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), halves);
}
inline void store_halves(BFloat16* p, __m128i halves, FirstLanes lanes) {
    std::memcpy(p, &halves, static_cast<size_t>(lanes.count) * sizeof(BFloat16));
}
template <class Lanes>
inline void store(BFloat16* p, Vec x, Lanes lanes) {
    store_halves(p, round_nearest(x), lanes);
}

// Rounds up in magnitude when the 16 bits that are cut off plus `random` carry. All kWidth random
// numbers are read.
template <class Lanes>
inline void store_stochastic(BFloat16* p, Vec x, const uint16_t* random, Lanes lanes) {
    store_halves(p, round_stochastic(x, random), lanes);
}

// Integer-valued lanes in [-128, 127].
inline int64_t narrow_to_i8(Vec x) {
    const __m256i words = _mm256_cvtps_epi32(x.v);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    return _mm_cvtsi128_si64(_mm_packs_epi16(halves, halves));
}
inline void store(int8_t* p, Vec x, AllLanes) {
    const int64_t codes = narrow_to_i8(x);
    std::memcpy(p, &codes, sizeof codes);
}
inline void store(int8_t* p, Vec x, FirstLanes lanes) {
    const int64_t codes = narrow_to_i8(x);
    std::memcpy(p, &codes, static_cast<size_t>(lanes.count));
}

// Integer-valued lanes in [0, 255].
inline int64_t narrow_to_u8(Vec x) {
    const __m256i words = _mm256_cvtps_epi32(x.v);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    return _mm_cvtsi128_si64(_mm_packus_epi16(halves, halves));
}
inline void store(uint8_t* p, Vec x, AllLanes) {
    const int64_t codes = narrow_to_u8(x);
    std::memcpy(p, &codes, sizeof codes);
}
inline void store(uint8_t* p, Vec x, FirstLanes lanes) {
    const int64_t codes = narrow_to_u8(x);
    std::memcpy(p, &codes, static_cast<size_t>(lanes.count));
}

// ---- Arithmetic ---------------------------------------------------------------------------------

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
inline Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
inline Vec round_even(Vec a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

inline Mask less(Vec a, Vec b) { return _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ); }
inline Mask equal(Vec a, Vec b) { return _mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ); }
inline Vec select(Mask mask, Vec yes, Vec no) { return {_mm256_blendv_ps(no.v, yes.v, mask)}; }

// 2^n for integer-valued n in [-126, 127].
inline Vec power_of_two(Vec n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}

// x 2^n for integer-valued n in [-252, 254], in two factors that are floats.
inline Vec scale_by_power(Vec x, Vec n) {
    const Vec half = round_even(n * splat(0.5f));
    return x * power_of_two(half) * power_of_two(n - half);
}

// The larger magnitude; NaN counts as larger than everything.
inline Vec max_magnitude(Vec a, Vec b) {
    return {_mm256_castsi256_ps(
        _mm256_max_epi32(_mm256_castps_si256(abs(a).v), _mm256_castps_si256(abs(b).v)))};
}

// ---- Across lanes, always in the same order -----------------------------------------------------

inline float sum(Vec a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// Sums of squares in fp64.
struct SquareSum {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();

    void add(Vec x) {
        const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(x.v));
        const __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1));
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double total() const {
        alignas(32) double lanes[4];
        _mm256_store_pd(lanes, _mm256_add_pd(low, high));
        return ((lanes[0] + lanes[1]) + lanes[2]) + lanes[3];
    }
};

}  // namespace compact::COMPACT_ISA
