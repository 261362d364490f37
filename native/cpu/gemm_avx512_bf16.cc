// bf16 tiles with vdpbf16ps: a pair of values of k of every row of A is broadcast against two vectors
// of pairs of B.
#include <immintrin.h>

#include <algorithm>
#include <utility>

#include "native/cpu/gemm_bf16_avx512.h"
#include "native/cpu/gemm_kernel.h"
#include "native/cpu/transpose_avx512.h"

namespace compact {
namespace {

constexpr int kTileRows = 12, kTileVectors = 2;
constexpr int kTileColumns = 16 * kTileVectors;
constexpr int64_t kKBlock = 1024;
static_assert(kTileRows * kKBlock * 2 <= kPanelBytes && kKBlock >= kMinKBlock);

// ---- Packing: [k / 2][width][2] -----------------------------------------------------------------

// The lanes of a panel's row that begin at `first`.
template <int kPanelWidth>
__mmask16 panel_lanes(int64_t first) {
    return kPanelWidth - first >= 16 ? 0xffff : static_cast<__mmask16>((1u << (kPanelWidth - first)) - 1);
}

template <int kPanelWidth>
void pack_transposing(const uint16_t* source, int64_t stride, int64_t count, int64_t depth,
                      uint32_t* panel) {
    for (int64_t first = 0; first < kPanelWidth; first += 16) {
        const __mmask16 lanes = panel_lanes<kPanelWidth>(first);
        for (int64_t k = 0; k < depth; k += 32) {
            const __mmask32 inside = first_halves(depth - k);
            __m512i rows[16];
            for (int64_t i = 0; i < 16; ++i) {
                rows[i] = first + i < count
                              ? _mm512_maskz_loadu_epi16(inside, source + (first + i) * stride + k)
                              : _mm512_setzero_si512();
            }
            transpose_16x16(rows);
            uint32_t* target = panel + k / 2 * kPanelWidth + first;
            for (int64_t i = 0; i < 16; ++i) {
                _mm512_mask_storeu_epi32(target + i * kPanelWidth, lanes, rows[i]);
            }
        }
    }
}

template <int kPanelWidth>
void pack_rows(const uint16_t* source, int64_t stride, int64_t count, int64_t depth,
               uint32_t* panel) {
    for (int64_t k = 0; k < depth; k += 2) {
        const uint16_t* row0 = source + k * stride;
        const uint16_t* row1 = k + 1 < depth ? row0 + stride : nullptr;
        for (int64_t first = 0; first < kPanelWidth; first += 16) {
            _mm512_mask_storeu_epi32(panel + k / 2 * kPanelWidth + first,
                                     panel_lanes<kPanelWidth>(first),
                                     interleave(row0, row1, first, count));
        }
    }
    const int64_t pairs = (depth + 1) / 2, padded_pairs = (depth + 31) / 32 * 16;
    std::fill(panel + pairs * kPanelWidth, panel + padded_pairs * kPanelWidth, 0u);
}

template <int kPanelWidth>
void pack(const PanelSource& source, int64_t count, int64_t depth, void* panel) {
    const auto* data = static_cast<const uint16_t*>(source.data);
    auto* target = static_cast<uint32_t*>(panel);
    if (source.k_contiguous) {
        pack_transposing<kPanelWidth>(data, source.stride, count, depth, target);
    } else {
        pack_rows<kPanelWidth>(data, source.stride, count, depth, target);
    }
}

// ---- Tiles --------------------------------------------------------------------------------------

template <int kRows, int kVectors>
void multiply_tile(const TileProduct& tile) {
    __m512 sums[kRows][kVectors];
    for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectors; ++v) {
            const float* row = tile.sums + i * tile.sums_stride + v * 16;
            sums[i][v] = tile.accumulate ? _mm512_loadu_ps(row) : _mm512_setzero_ps();
        }
    }
    // One pointer for three rows: x86 scales an index by 1 and 2.
    constexpr int kPointers = (kRows + 2) / 3;
    const char* a[kPointers];
    const int64_t row_bytes = tile.a_row_bytes;
    for (int p = 0; p < kPointers; ++p) a[p] = tile.a + 3 * p * row_bytes;
    const uint32_t* b = static_cast<const uint32_t*>(tile.b);
    for (int64_t step = 0; step < tile.steps; ++step) {
        __m512bh columns[kVectors];
        for (int v = 0; v < kVectors; ++v) {
            columns[v] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + v * 16));
        }
        for (int i = 0; i < kRows; ++i) {
            const __m512bh pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(
                *reinterpret_cast<const int32_t*>(a[i / 3] + (i % 3) * row_bytes)));
            for (int v = 0; v < kVectors; ++v) {
                sums[i][v] = _mm512_dpbf16_ps(sums[i][v], pair, columns[v]);
            }
        }
        for (int p = 0; p < kPointers; ++p) a[p] += tile.a_step_bytes;
        b += kTileColumns;
    }
    for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectors; ++v) {
            _mm512_storeu_ps(tile.sums + i * tile.sums_stride + v * 16, sums[i][v]);
        }
    }
}

using Multiply = void (*)(const TileProduct&);

template <int... kIndices>
constexpr auto multiply_table(std::integer_sequence<int, kIndices...>) {
    struct Table {
        Multiply entries[kTileRows * kTileVectors];
    };
    return Table{{multiply_tile<kIndices / kTileVectors + 1, kIndices % kTileVectors + 1>...}};
}

void multiply(const TileProduct& tile) {
    static constexpr auto kTable =
        multiply_table(std::make_integer_sequence<int, kTileRows * kTileVectors>{});
    kTable.entries[(tile.rows - 1) * kTileVectors + (tile.columns + 15) / 16 - 1](tile);
}

void nothing() {}

}  // namespace

void pack_pairs_32(const PanelSource& source, int64_t count, int64_t depth, void* panel) {
    pack<32>(source, count, depth, panel);
}

// The common case, a bf16 C that is overwritten, has an instruction of its own.
void store_c_avx512_bf16(const TileStore& tile) {
    if (tile.c_dtype != CP_BF16 || tile.beta != 0.0f || tile.random != nullptr) {
        return avx512::kGemmF32.store(tile);
    }
    const __m512 alpha = _mm512_set1_ps(tile.alpha);
    for (int64_t i = 0; i < tile.rows; ++i) {
        const float* sums = tile.sums + i * tile.sums_stride;
        uint16_t* c = static_cast<uint16_t*>(tile.c) + i * tile.c_stride;
        for (int64_t j = 0; j < tile.columns; j += 32) {
            const __mmask32 inside = first_halves(tile.columns - j);
            const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(inside), sums + j);
            const __m512 high =
                _mm512_maskz_loadu_ps(static_cast<__mmask16>(inside >> 16), sums + j + 16);
            const __m512bh rounded =
                _mm512_cvtne2ps_pbh(_mm512_mul_ps(alpha, high), _mm512_mul_ps(alpha, low));
            _mm512_mask_storeu_epi16(c + j, inside, reinterpret_cast<__m512i>(rounded));
        }
    }
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
    .begin = nothing,
    .end = nothing,
};

}  // namespace compact
