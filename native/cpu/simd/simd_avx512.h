// simd.h for AVX-512 (F, BW, VL, DQ): 16 lanes.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace compact::COMPACT_ISA {

struct Vec {
    __m512 v;
};
using Mask = __mmask16;
inline constexpr int64_t kWidth = 16;

inline Mask first_lanes(FirstLanes lanes) { return static_cast<Mask>((1u << lanes.count) - 1u); }

inline Vec splat(float x) { return {_mm512_set1_ps(x)}; }
inline Vec lane_index() {
    return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}

// ---- Loads and stores. Lanes that take no part read as 0 and are not written. -------------------

inline Vec load(const float* p, AllLanes) { return {_mm512_loadu_ps(p)}; }
inline Vec load(const float* p, FirstLanes lanes) {
    return {_mm512_maskz_loadu_ps(first_lanes(lanes), p)};
}
inline Vec widen(__m256i bits) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline Vec load(const BFloat16* p, AllLanes) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Vec load(const BFloat16* p, FirstLanes lanes) {
    return widen(_mm256_maskz_loadu_epi16(first_lanes(lanes), p));
}
inline Vec load(const int8_t* p, AllLanes) {
    return {_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline Vec load(const int8_t* p, FirstLanes lanes) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first_lanes(lanes), p)))};
}

// table[p[i]], of a table of 256.
inline Vec lookup(const float* table, const uint8_t* p, AllLanes) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_i32gather_ps(_mm512_cvtepu8_epi32(codes), table, 4)};
}
inline Vec lookup(const float* table, const uint8_t* p, FirstLanes lanes) {
    const Mask mask = first_lanes(lanes);
    const __m512i codes = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, p));
    return {_mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, codes, table, 4)};
}

inline void store(float* p, Vec x, AllLanes) { _mm512_storeu_ps(p, x.v); }
inline void store(float* p, Vec x, FirstLanes lanes) {
    _mm512_mask_storeu_ps(p, first_lanes(lanes), x.v);
}

// Upper halves of `sums` (bits plus what rounds them), or the one NaN there is.
inline __m256i upper_halves(Vec x, __m512i sums) {
    const __m512i quiet = _mm512_set1_epi32(kBf16Nan << 16);
    const Mask nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(sums, nan, quiet), 16));
}
inline __m256i round_nearest(Vec x) {
    const __m512i bits = _mm512_castps_si512(x.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    return upper_halves(x, _mm512_add_epi32(bits, half));
}
inline void store(BFloat16* p, Vec x, AllLanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_nearest(x));
}
inline void store(BFloat16* p, Vec x, FirstLanes lanes) {
    _mm256_mask_storeu_epi16(p, first_lanes(lanes), round_nearest(x));
}

// Rounds up in magnitude when the 16 bits that are cut off plus `random` carry. All kWidth random
// numbers are read.
inline void store_stochastic(BFloat16* p, Vec x, const uint16_t* random, AllLanes) {
    const __m512i dither =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(random)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        upper_halves(x, _mm512_add_epi32(_mm512_castps_si512(x.v), dither)));
}
inline void store_stochastic(BFloat16* p, Vec x, const uint16_t* random, FirstLanes lanes) {
    const __m512i dither =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(random)));
    _mm256_mask_storeu_epi16(p, first_lanes(lanes),
                             upper_halves(x, _mm512_add_epi32(_mm512_castps_si512(x.v), dither)));
}

// Integer-valued lanes in [-128, 127].
inline void store(int8_t* p, Vec x, AllLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
}
inline void store(int8_t* p, Vec x, FirstLanes lanes) {
    _mm_mask_storeu_epi8(p, first_lanes(lanes), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
}

// Integer-valued lanes in [0, 255].
inline void store(uint8_t* p, Vec x, AllLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
}
inline void store(uint8_t* p, Vec x, FirstLanes lanes) {
    _mm_mask_storeu_epi8(p, first_lanes(lanes), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
}

// ---- Arithmetic ---------------------------------------------------------------------------------

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec round_even(Vec a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

inline Mask less(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
inline Mask equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }
inline Vec select(Mask mask, Vec yes, Vec no) { return {_mm512_mask_mov_ps(no.v, mask, yes.v)}; }

// x 2^n for integer-valued n.
inline Vec scale_by_power(Vec x, Vec n) { return {_mm512_scalef_ps(x.v, n.v)}; }

// The larger magnitude; NaN counts as larger than everything.
inline Vec max_magnitude(Vec a, Vec b) {
    return {_mm512_castsi512_ps(
        _mm512_max_epi32(_mm512_castps_si512(abs(a).v), _mm512_castps_si512(abs(b).v)))};
}

// ---- Across lanes, always in the same order -----------------------------------------------------

inline float sum(Vec a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// Sums of squares in fp64.
struct SquareSum {
    __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();

    void add(Vec x) {
        const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(x.v));
        const __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1));
        low = _mm512_fmadd_pd(a, a, low);
        high = _mm512_fmadd_pd(b, b, high);
    }
    double total() const {
        alignas(64) double lanes[8];
        _mm512_store_pd(lanes, _mm512_add_pd(low, high));
        double result = 0.0;
        for (double lane : lanes) result += lane;
        return result;
    }
};

}  // namespace compact::COMPACT_ISA
