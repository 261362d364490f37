// bf16 tiles with AMX: 32 x 32 sums in four tile registers, two of A and two of B beside them.
//
// A panel of A holds 32 x 32 blocks of 64-byte rows; a panel of B pairs of k (gemm_bf16_avx512.h).
// B streams through the L1 cache with a hint that it is not needed again, so that A stays.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "native/cpu/gemm/gemm_bf16_avx512.h"
#include "native/cpu/gemm/gemm_kernel.h"
#include "native/cpu/gemm/transpose_avx512.h"

namespace compact {
namespace {

constexpr int kTile = 32;
constexpr int64_t kStepBytes = 2048;  // of either panel: 32 values of k
constexpr int64_t kARowBytes = 64;    // a row of an A panel, for one step
constexpr int64_t kBRowBytes = 128;   // a row of a B panel: 32 pairs
constexpr int64_t kKBlock = 704;      // 44 of 48 KiB
static_assert(kTile * kKBlock * 2 <= kPanelBytes && kKBlock >= kMinKBlock && kTile <= kMaxTile);

// ---- Packing of A: [k / 32][32][32] -------------------------------------------------------------

void pack_copying(const uint16_t* source, int64_t stride, int64_t count, int64_t depth,
                  uint16_t* panel) {
    for (int64_t k = 0; k < depth; k += kTile) {
        const __mmask32 inside = first_halves(depth - k);
        uint16_t* target = panel + k * kTile;
        for (int64_t i = 0; i < kTile; ++i) {
            _mm512_storeu_si512(target + i * kTile, i < count ? _mm512_maskz_loadu_epi16(
                                                                    inside, source + i * stride + k)
                                                              : _mm512_setzero_si512());
        }
    }
}

// One 32 x 32 block.
void pack_transposing(const uint16_t* source, int64_t stride, int64_t count, int64_t depth,
                      uint16_t* panel) {
    for (int64_t first = 0; first < kTile; first += 16) {
        __m512i rows[16];
        for (int64_t pair = 0; pair < 16; ++pair) {
            const uint16_t* row0 = source + 2 * pair * stride + first;
            const uint16_t* row1 = 2 * pair + 1 < depth ? row0 + stride : nullptr;
            rows[pair] =
                2 * pair < depth ? interleave(row0, row1, count - first) : _mm512_setzero_si512();
        }
        transpose_16x16(rows);
        for (int64_t i = 0; i < 16; ++i) _mm512_storeu_si512(panel + (first + i) * kTile, rows[i]);
    }
}

void pack_a(const PanelSource& source, int64_t count, int64_t depth, void* panels,
            int64_t panel_bytes) {
    const auto* data = static_cast<const uint16_t*>(source.data);
    const auto panel_of = [&](int64_t i) {
        return reinterpret_cast<uint16_t*>(static_cast<char*>(panels) + i / kTile * panel_bytes);
    };
    if (source.k_contiguous) {
        for (int64_t i = 0; i < count; i += kTile) {
            pack_copying(data + i * source.stride, source.stride, count - i, depth, panel_of(i));
        }
        return;
    }
    // The cache lines of 32 rows serve all panels.
    for (int64_t k = 0; k < depth; k += kTile) {
        for (int64_t i = 0; i < count; i += kTile) {
            pack_transposing(data + k * source.stride + i, source.stride, count - i,
                             std::min<int64_t>(kTile, depth - k), panel_of(i) + k * kTile);
        }
    }
}

// ---- Tiles: sums in 0 to 3, A in 4 and 5, B in 6 and 7 ------------------------------------------

template <int kRowTiles, int kColumnTiles>
void multiply_tile(const TileProduct& tile) {
    constexpr bool kSecondRow = kRowTiles > 1, kSecondColumn = kColumnTiles > 1;
    const int64_t row_bytes = tile.sums_stride * 4;
    char* sums = reinterpret_cast<char*>(tile.sums);
    char* lower_sums = sums + 16 * row_bytes;
    if (tile.accumulate) {
        _tile_loadd(0, sums, row_bytes);
        if constexpr (kSecondColumn) _tile_loadd(1, sums + 64, row_bytes);
        if constexpr (kSecondRow) _tile_loadd(2, lower_sums, row_bytes);
        if constexpr (kSecondRow && kSecondColumn) _tile_loadd(3, lower_sums + 64, row_bytes);
    } else {
        _tile_zero(0);
        if constexpr (kSecondColumn) _tile_zero(1);
        if constexpr (kSecondRow) _tile_zero(2);
        if constexpr (kSecondRow && kSecondColumn) _tile_zero(3);
    }
    const char* a = static_cast<const char*>(tile.a);
    const char* b = static_cast<const char*>(tile.b);
    const int64_t a_row = tile.a_direct ? tile.a_stride * 2 : kARowBytes;
    const int64_t a_step = tile.a_direct ? kARowBytes : kStepBytes;
    for (int64_t step = 0; step < tile.steps; ++step) {
        _tile_loadd(4, a, a_row);
        _tile_stream_loadd(6, b, kBRowBytes);
        if constexpr (kSecondColumn) _tile_stream_loadd(7, b + 64, kBRowBytes);
        if constexpr (kSecondRow) _tile_loadd(5, a + 16 * a_row, a_row);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (kSecondColumn) _tile_dpbf16ps(1, 4, 7);
        if constexpr (kSecondRow) _tile_dpbf16ps(2, 5, 6);
        if constexpr (kSecondRow && kSecondColumn) _tile_dpbf16ps(3, 5, 7);
        a += a_step;
        b += kStepBytes;
    }
    _tile_stored(0, sums, row_bytes);
    if constexpr (kSecondColumn) _tile_stored(1, sums + 64, row_bytes);
    if constexpr (kSecondRow) _tile_stored(2, lower_sums, row_bytes);
    if constexpr (kSecondRow && kSecondColumn) _tile_stored(3, lower_sums + 64, row_bytes);
}

void multiply(const TileProduct& tile) {
    const bool second_row = tile.rows > 16, second_column = tile.columns > 16;
    if (second_row && second_column) return multiply_tile<2, 2>(tile);
    if (second_row) return multiply_tile<2, 1>(tile);
    if (second_column) return multiply_tile<1, 2>(tile);
    multiply_tile<1, 1>(tile);
}

struct TileConfiguration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

constexpr TileConfiguration all_tiles_full() {
    TileConfiguration configuration;
    for (int i = 0; i < 8; ++i) {
        configuration.row_bytes[i] = 64;
        configuration.rows[i] = 16;
    }
    return configuration;
}

void begin() {
    static constexpr TileConfiguration kConfiguration = all_tiles_full();
    _tile_loadconfig(&kConfiguration);
}

// A thread without live tiles has less to save when it is switched.
void end() { _tile_release(); }

}  // namespace

const GemmKernel kGemmAmx = {
    .rows = kTile,
    .columns = kTile,
    .row_step = 16,
    .column_step = 16,
    .k_step = 32,
    .element_bytes = 2,
    .k_block = kKBlock,
    .direct_dtype = CP_BF16,
    .conflict_bytes = 2048,
    .products_per_cycle = 512,
    .pack_a = pack_a,
    .pack_b = pack_pairs_32,
    .multiply = multiply,
    .store = store_c_avx512_bf16,
    .sum_of_squares = sum_of_squares_avx512_bf16,
    .begin = begin,
    .end = end,
};

}  // namespace compact
