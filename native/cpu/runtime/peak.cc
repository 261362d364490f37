#include "native/cpu/runtime/peak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace compact {

#if defined(__x86_64__)
namespace {

// Enough independent sums to cover the latency of the instruction.
constexpr int kSums = 12;

// Keeps a result alive without storing it.
template <class T>
inline void keep(const T& value) {
    __asm__ volatile("" : : "x"(value));
}

__attribute__((target("avx2,fma"))) double f32_avx2(int64_t rounds) {
    __m256 sums[kSums];
    for (__m256& sum : sums) sum = _mm256_setzero_ps();
    const __m256 x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, x, y);
    }
    for (const __m256& sum : sums) keep(sum);
    return static_cast<double>(rounds) * kSums * 16;
}

__attribute__((target("avx512f"))) double f32_avx512(int64_t rounds) {
    __m512 sums[kSums];
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
    const __m512 x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, x, y);
    }
    for (const __m512& sum : sums) keep(sum);
    return static_cast<double>(rounds) * kSums * 32;
}

__attribute__((target("avx512f,avx512bf16"))) double bf16_dot(int64_t rounds) {
    __m512 sums[kSums];
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
    const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f00));
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, x, x);
    }
    for (const __m512& sum : sums) keep(sum);
    return static_cast<double>(rounds) * kSums * 64;
}

struct TileConfiguration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile,amx-bf16"))) double bf16_amx(int64_t rounds) {
    static constexpr TileConfiguration kConfiguration;
    _tile_loadconfig(&kConfiguration);
    for (int64_t round = 0; round < rounds; ++round) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return static_cast<double>(rounds) * 4 * 2 * 16 * 16 * 32;
}

}  // namespace

const PeakLoop kPeakF32Avx2 = {"f32 256-bit fma", f32_avx2};
const PeakLoop kPeakF32Avx512 = {"f32 512-bit fma", f32_avx512};
const PeakLoop kPeakBf16Dot = {"bf16 vdpbf16ps", bf16_dot};
const PeakLoop kPeakBf16Amx = {"bf16 tdpbf16ps", bf16_amx};

#else

const PeakLoop kPeakF32Avx2 = {"f32 256-bit fma", nullptr};
const PeakLoop kPeakF32Avx512 = {"f32 512-bit fma", nullptr};
const PeakLoop kPeakBf16Dot = {"bf16 vdpbf16ps", nullptr};
const PeakLoop kPeakBf16Amx = {"bf16 tdpbf16ps", nullptr};

#endif

}  // namespace compact
