// Pairs of bf16 in the order that AVX512-BF16 and AMX read them: two values of k side by side.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "native/cpu/gemm/gemm_kernel.h"

namespace compact {

static inline __mmask32 first_halves(int64_t count) {
    if (count <= 0) return 0;
    return count >= 32 ? 0xffffffffu : (1u << count) - 1u;
}

// Pairs (row0[i], row1[i]) of sixteen elements, the first `count` of them; row1 may be absent.
static inline __m512i interleave(const uint16_t* row0, const uint16_t* row1, int64_t count) {
    const __m512i twice =
        _mm512_setr_epi32(0x00000000, 0x00010001, 0x00020002, 0x00030003, 0x00040004, 0x00050005,
                          0x00060006, 0x00070007, 0x00080008, 0x00090009, 0x000a000a, 0x000b000b,
                          0x000c000c, 0x000d000d, 0x000e000e, 0x000f000f);
    constexpr __mmask32 kOddHalves = 0xaaaaaaaa;
    const auto load = [&](const uint16_t* row) {
        const __m256i halves =
            count >= 16
                ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row))
                : _mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_halves(count)), row);
        return _mm512_castsi256_si512(halves);
    };
    const __m512i pairs = _mm512_permutexvar_epi16(twice, load(row0));
    if (row1 == nullptr) return _mm512_maskz_mov_epi16(~kOddHalves, pairs);
    return _mm512_mask_permutexvar_epi16(pairs, kOddHalves, twice, load(row1));
}

// The same of 32 elements, both rows present: no more shuffles than for sixteen.
struct Pairs32 {
    __m512i low, high;
};
static inline Pairs32 interleave_32(const uint16_t* row0, const uint16_t* row1) {
    const __m512i x = _mm512_loadu_si512(row0), y = _mm512_loadu_si512(row1);
    const __m512i first = _mm512_unpacklo_epi16(x, y), second = _mm512_unpackhi_epi16(x, y);
    const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i upper = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    return {_mm512_permutex2var_epi64(first, lower, second),
            _mm512_permutex2var_epi64(first, upper, second)};
}

// The panel of AVX512-BF16 and of AMX's B is [k / 2][width][2]; defined in gemm_avx512_bf16.cc.
void pack_pairs_32(const PanelSource& source, int64_t count, int64_t depth, void* panels,
                   int64_t panel_bytes);
void store_c_avx512_bf16(const TileStore& tile);
double sum_of_squares_avx512_bf16(const void* c, int32_t c_dtype, int64_t c_stride, int64_t rows,
                                  int64_t columns);

}  // namespace compact
