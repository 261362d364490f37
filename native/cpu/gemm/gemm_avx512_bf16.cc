// bf16 tiles with vdpbf16ps: a pair of values of k of every row of A is broadcast against two
// vectors of pairs of B.
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "native/base/bf16.h"
#include "native/cpu/gemm/gemm_bf16_avx512.h"
#include "native/cpu/gemm/gemm_kernel.h"
#include "native/cpu/gemm/transpose_avx512.h"

namespace compact {
namespace {

constexpr int kTileRows = 12, kTileVectors = 2;
constexpr int kTileColumns = 16 * kTileVectors;
constexpr int64_t kKBlock = 1024;
static_assert(kTileRows * kKBlock * 2 <= kPanelBytes && kKBlock >= kMinKBlock);

// ---- Packing: [k / 2][width][2] -----------------------------------------------------------------

// Stores the part of x that lies within a row of a panel.
template <int kPanelWidth>
void store_row(uint32_t* row, int64_t first, __m512i x) {
    if (first + 16 <= kPanelWidth) {
        _mm512_storeu_si512(row + first, x);
    } else {
        _mm512_mask_storeu_epi32(row + first, (1u << (kPanelWidth % 16)) - 1u, x);
    }
}

template <int kPanelWidth>
void pack_transposing(const uint16_t* source, int64_t stride, int64_t count, int64_t depth,
                      uint32_t* panel) {
    for (int64_t first = 0; first < kPanelWidth; first += 16) {
        for (int64_t k = 0; k < depth; k += 32) {
            const __mmask32 inside = first_halves(depth - k);
            __m512i rows[16];
            for (int64_t i = 0; i < 16; ++i) {
                rows[i] = first + i < count
                              ? _mm512_maskz_loadu_epi16(inside, source + (first + i) * stride + k)
                              : _mm512_setzero_si512();
            }
            transpose_16x16(rows);
            for (int64_t i = 0; i < 16; ++i) {
                store_row<kPanelWidth>(panel + (k / 2 + i) * kPanelWidth, first, rows[i]);
            }
        }
    }
}

template <int kPanelWidth>
void pack_row(const uint16_t* row0, const uint16_t* row1, int64_t count, uint32_t* row) {
    if (kPanelWidth == 32 && count >= 32 && row1 != nullptr) {
        const Pairs32 pairs = interleave_32(row0, row1);
        _mm512_storeu_si512(row, pairs.low);
        _mm512_storeu_si512(row + 16, pairs.high);
        return;
    }
    for (int64_t first = 0; first < kPanelWidth; first += 16) {
        const uint16_t* second = row1 == nullptr ? nullptr : row1 + first;
        store_row<kPanelWidth>(row, first, interleave(row0 + first, second, count - first));
    }
}

// Rows are longer than a prefetcher's patience and lie apart: those to come are asked for.
constexpr int64_t kRowsAhead = 4;

template <int kPanelWidth>
void pack(const PanelSource& source, int64_t count, int64_t depth, void* panels,
          int64_t panel_bytes) {
    const auto* data = static_cast<const uint16_t*>(source.data);
    const auto panel_of = [&](int64_t i) {
        return reinterpret_cast<uint32_t*>(static_cast<char*>(panels) +
                                           i / kPanelWidth * panel_bytes);
    };
    if (source.k_contiguous) {
        for (int64_t i = 0; i < count; i += kPanelWidth) {
            pack_transposing<kPanelWidth>(data + i * source.stride, source.stride, count - i, depth,
                                          panel_of(i));
        }
        return;
    }
    // Stored rows are read from end to end.
    for (int64_t k = 0; k < depth; k += 2) {
        const uint16_t* row0 = data + k * source.stride;
        const uint16_t* row1 = k + 1 < depth ? row0 + source.stride : nullptr;
        for (int64_t i = 0; i < count; i += kPanelWidth) {
            __builtin_prefetch(row0 + kRowsAhead * source.stride + i, 0);
            __builtin_prefetch(row0 + (kRowsAhead + 1) * source.stride + i, 0);
            pack_row<kPanelWidth>(row0 + i, row1 == nullptr ? nullptr : row1 + i, count - i,
                                  panel_of(i) + k / 2 * kPanelWidth);
        }
    }
    const int64_t pairs = (depth + 1) / 2, padded_pairs = (depth + 31) / 32 * 16;
    for (int64_t i = 0; i < count; i += kPanelWidth) {
        std::fill(panel_of(i) + pairs * kPanelWidth, panel_of(i) + padded_pairs * kPanelWidth, 0u);
    }
}

// ---- Tiles --------------------------------------------------------------------------------------

// As in gemm_f32.cc, with pairs for elements.
constexpr int kUnroll = 4;

template <int kRows, int kVectors, bool kDirect>
void multiply_tile(const TileProduct& tile) {
    __m512 sums[kRows][kVectors];
    for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectors; ++v) {
            const float* row = tile.sums + i * tile.sums_stride + v * 16;
            sums[i][v] = tile.accumulate ? _mm512_loadu_ps(row) : _mm512_setzero_ps();
        }
    }
    const int64_t row_bytes = kDirect ? tile.a_stride * 2 : 4;
    constexpr int64_t kStepBytes = kDirect ? 4 : kTileRows * 4;
    // One pointer for three rows: x86 scales an index by 1 and 2.
    constexpr int kPointers = (kRows + 2) / 3;
    const char* a[kPointers];
    for (int p = 0; p < kPointers; ++p) {
        a[p] = static_cast<const char*>(tile.a) + 3 * p * row_bytes;
    }
    const uint32_t* b = static_cast<const uint32_t*>(tile.b);
    const auto step = [&](int64_t offset) {
        __m512bh columns[kVectors];
        for (int v = 0; v < kVectors; ++v) {
            columns[v] =
                reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + offset * kTileColumns + v * 16));
        }
        for (int i = 0; i < kRows; ++i) {
            int32_t pair;
            std::memcpy(&pair, a[i / 3] + (i % 3) * row_bytes + offset * kStepBytes, sizeof pair);
            const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
            for (int v = 0; v < kVectors; ++v) {
                sums[i][v] = _mm512_dpbf16_ps(sums[i][v], x, columns[v]);
            }
        }
    };
    const auto advance = [&](int64_t steps) {
        for (int p = 0; p < kPointers; ++p) a[p] += steps * kStepBytes;
        b += steps * kTileColumns;
    };
    int64_t left = tile.steps;
    for (; left >= kUnroll; left -= kUnroll) {
        for (int offset = 0; offset < kUnroll; ++offset) step(offset);
        advance(kUnroll);
    }
    for (; left > 0; --left) {
        step(0);
        advance(1);
    }
    for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectors; ++v) {
            _mm512_storeu_ps(tile.sums + i * tile.sums_stride + v * 16, sums[i][v]);
        }
    }
}

using Multiply = void (*)(const TileProduct&);

struct MultiplyTable {
    Multiply entries[kTileRows * kTileVectors];
};

template <bool kDirect, int... kIndices>
constexpr MultiplyTable multiply_table(std::integer_sequence<int, kIndices...>) {
    return {{multiply_tile<kIndices / kTileVectors + 1, kIndices % kTileVectors + 1, kDirect>...}};
}

void multiply(const TileProduct& tile) {
    using Indices = std::make_integer_sequence<int, kTileRows * kTileVectors>;
    static constexpr MultiplyTable kTables[] = {multiply_table<false>(Indices{}),
                                                multiply_table<true>(Indices{})};
    const MultiplyTable& table = kTables[tile.a_direct ? 1 : 0];
    table.entries[(tile.rows - 1) * kTileVectors + (tile.columns + 15) / 16 - 1](tile);
}

void nothing() {}

}  // namespace

void pack_pairs_32(const PanelSource& source, int64_t count, int64_t depth, void* panels,
                   int64_t panel_bytes) {
    pack<32>(source, count, depth, panels, panel_bytes);
}

// What projectBackUpdate stores, 32 columns wide. Even and odd columns are kept apart, so that a
// bf16 becomes an fp32 by a mask or a shift, and the random halves are used where they stand.
static void store_update(const TileStore& tile) {
    const __m512i evens =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
    const __m512i lower = _mm512_set1_epi32(0xffff), upper = _mm512_set1_epi32(-0x10000);
    const __m512i nan = _mm512_set1_epi32(kBf16Nan << 16);
    const __m512 alpha = _mm512_set1_ps(tile.alpha), beta = _mm512_set1_ps(tile.beta);
    constexpr __mmask32 kOddHalves = 0xaaaaaaaa;
    for (int64_t i = 0; i < tile.rows; ++i) {
        const float* sums = tile.sums + i * tile.sums_stride;
        uint16_t* c = static_cast<uint16_t*>(tile.c) + i * tile.c_stride;
        const __m512i random = _mm512_loadu_si512(tile.random + i * tile.random_stride);
        const __m512i old = _mm512_loadu_si512(c);
        const __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + 16);
        const __m512 old_even = _mm512_castsi512_ps(_mm512_slli_epi32(old, 16));
        const __m512 old_odd = _mm512_castsi512_ps(_mm512_and_si512(old, upper));
        const __m512 even = _mm512_fmadd_ps(
            beta, old_even, _mm512_mul_ps(alpha, _mm512_permutex2var_ps(first, evens, second)));
        const __m512 odd = _mm512_fmadd_ps(
            beta, old_odd, _mm512_mul_ps(alpha, _mm512_permutex2var_ps(first, odds, second)));
        const __mmask16 even_nan = _mm512_cmp_ps_mask(even, even, _CMP_UNORD_Q);
        const __mmask16 odd_nan = _mm512_cmp_ps_mask(odd, odd, _CMP_UNORD_Q);
        const __m512i even_sum = _mm512_mask_mov_epi32(
            _mm512_add_epi32(_mm512_castps_si512(even), _mm512_and_si512(random, lower)), even_nan,
            nan);
        const __m512i odd_sum = _mm512_mask_mov_epi32(
            _mm512_add_epi32(_mm512_castps_si512(odd), _mm512_srli_epi32(random, 16)), odd_nan,
            nan);
        _mm512_storeu_si512(
            c, _mm512_mask_blend_epi16(kOddHalves, _mm512_srli_epi32(even_sum, 16), odd_sum));
    }
}

// The common cases, a bf16 C that is overwritten or updated, have code of their own.
void store_c_avx512_bf16(const TileStore& tile) {
    const bool is_update = tile.random != nullptr && tile.beta != 0.0f && tile.columns == 32;
    if (tile.c_dtype == CP_BF16 && is_update) return store_update(tile);
    if (tile.c_dtype != CP_BF16 || tile.beta != 0.0f || tile.random != nullptr) {
        return avx512::kGemmF32.store(tile);
    }
    const __m512 alpha = _mm512_set1_ps(tile.alpha);
    for (int64_t i = 0; i < tile.rows; ++i) {
        const float* sums = tile.sums + i * tile.sums_stride;
        uint16_t* c = static_cast<uint16_t*>(tile.c) + i * tile.c_stride;
        int64_t j = 0;
        for (; j + 32 <= tile.columns; j += 32) {
            const __m512 low = _mm512_mul_ps(alpha, _mm512_loadu_ps(sums + j));
            const __m512 high = _mm512_mul_ps(alpha, _mm512_loadu_ps(sums + j + 16));
            _mm512_storeu_si512(c + j, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
        }
        if (j == tile.columns) continue;
        const __mmask32 inside = first_halves(tile.columns - j);
        const auto low_inside = static_cast<__mmask16>(inside);
        const auto high_inside = static_cast<__mmask16>(inside >> 16);
        const __m512 low = _mm512_mul_ps(alpha, _mm512_maskz_loadu_ps(low_inside, sums + j));
        const __m512 high = _mm512_mul_ps(alpha, _mm512_maskz_loadu_ps(high_inside, sums + j + 16));
        _mm512_mask_storeu_epi16(c + j, inside,
                                 reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
}

double sum_of_squares_avx512_bf16(const void* c, int32_t c_dtype, int64_t c_stride, int64_t rows,
                                  int64_t columns) {
    return avx512::kGemmF32.sum_of_squares(c, c_dtype, c_stride, rows, columns);
}

const GemmKernel kGemmAvx512Bf16 = {
    .rows = kTileRows,
    .columns = kTileColumns,
    .row_step = 1,
    .column_step = 16,
    .k_step = 2,
    .element_bytes = 2,
    .k_block = kKBlock,
    .direct_dtype = CP_BF16,
    .conflict_bytes = 4096,
    .products_per_cycle = 64,
    .pack_a = pack<kTileRows>,
    .pack_b = pack<kTileColumns>,
    .multiply = multiply,
    .store = store_c_avx512_bf16,
    .sum_of_squares = sum_of_squares_avx512_bf16,
    .begin = nothing,
    .end = nothing,
};

}  // namespace compact
