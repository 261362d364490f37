// fp32 tiles: every row of A is broadcast against a few vectors of B. bf16 operands are widened
// while they are packed.
#include <cstdint>
#include <utility>

#include "native/base/bf16.h"
#include "native/cpu/gemm/gemm_kernel.h"
#include "native/cpu/simd/loops.h"
#include "native/cpu/simd/simd.h"
#if defined(COMPACT_ISA_AVX512)
#include "native/cpu/gemm/transpose_avx512.h"
#endif

namespace compact::COMPACT_ISA {
namespace {

// As many sums as the registers hold beside the operands.
#if defined(COMPACT_ISA_AVX512)
constexpr int kTileRows = 12, kTileVectors = 2;  // 24 of 32 registers
constexpr double kProductsPerCycle = 32;
#elif defined(COMPACT_ISA_AVX2)
constexpr int kTileRows = 6, kTileVectors = 2;  // 12 of 16 registers
constexpr double kProductsPerCycle = 16;
#else
constexpr int kTileRows = 4, kTileVectors = 1;
constexpr double kProductsPerCycle = 2;
#endif
constexpr int kTileColumns = kTileVectors * kWidth;

// ---- Packing: [k][width] ------------------------------------------------------------------------

#if defined(COMPACT_ISA_AVX512)
void transpose(Vec (&rows)[kWidth]) {
    __m512i bits[16];
    for (int i = 0; i < 16; ++i) bits[i] = _mm512_castps_si512(rows[i].v);
    transpose_16x16(bits);
    for (int i = 0; i < 16; ++i) rows[i].v = _mm512_castsi512_ps(bits[i]);
}
#elif defined(COMPACT_ISA_AVX2)
void transpose(Vec (&rows)[kWidth]) {
    __m256 pair[8], quad[8];
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v);
        pair[i + 1] = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
    }
    for (int i = 0; i < 8; i += 4) {
        quad[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        quad[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
        quad[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        quad[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
        rows[i].v = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20);
        rows[i + 4].v = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31);
    }
}
#else
void transpose(Vec (&rows)[kWidth]) {
    for (int i = 0; i < kWidth; ++i) {
        for (int j = 0; j < i; ++j) std::swap(rows[i].v[j], rows[j].v[i]);
    }
}
#endif

// The first `count` lanes, which may be none or more than there are.
template <class T>
Vec load_first(const T* p, int64_t count) {
    if (count >= kWidth) return load(p, AllLanes{});
    if (count <= 0) return splat(0.0f);
    return load(p, FirstLanes{static_cast<int>(count)});
}

// Stores the part of x that lies within a row of a panel.
template <int kPanelWidth>
void store_row(float* row, int64_t first, Vec x) {
    if (first + kWidth <= kPanelWidth) {
        store(row + first, x, AllLanes{});
    } else {
        store(row + first, x, FirstLanes{static_cast<int>(kPanelWidth - first)});
    }
}

template <int kPanelWidth, class T>
void pack_transposing(const T* source, int64_t stride, int64_t count, int64_t depth, float* panel) {
    for (int64_t first = 0; first < kPanelWidth; first += kWidth) {
        for (int64_t k = 0; k < depth; k += kWidth) {
            Vec rows[kWidth];
            for (int64_t i = 0; i < kWidth; ++i) {
                const bool inside = first + i < count;
                rows[i] =
                    inside ? load_first(source + (first + i) * stride + k, depth - k) : splat(0.0f);
            }
            transpose(rows);
            const int64_t steps = std::min(kWidth, depth - k);
            for (int64_t i = 0; i < steps; ++i) {
                store_row<kPanelWidth>(panel + (k + i) * kPanelWidth, first, rows[i]);
            }
        }
    }
}

template <int kPanelWidth, class T>
void pack_row(const T* source, int64_t count, float* row) {
    for (int64_t first = 0; first < kPanelWidth; first += kWidth) {
        store_row<kPanelWidth>(row, first, load_first(source + first, count - first));
    }
}

template <int kPanelWidth>
void pack(const PanelSource& source, int64_t count, int64_t depth, void* panels,
          int64_t panel_bytes) {
    const auto panel_of = [&](int64_t i) {
        return reinterpret_cast<float*>(static_cast<char*>(panels) + i / kPanelWidth * panel_bytes);
    };
    with_dtype(source.dtype, [&](auto type) {
        using T = decltype(type);
        const T* data = static_cast<const T*>(source.data);
        if (source.k_contiguous) {
            for (int64_t i = 0; i < count; i += kPanelWidth) {
                pack_transposing<kPanelWidth>(data + i * source.stride, source.stride, count - i,
                                              depth, panel_of(i));
            }
            return;
        }
        // Stored rows are read from end to end, which the prefetchers of processors follow.
        for (int64_t k = 0; k < depth; ++k) {
            for (int64_t i = 0; i < count; i += kPanelWidth) {
                pack_row<kPanelWidth>(data + k * source.stride + i, count - i,
                                      panel_of(i) + k * kPanelWidth);
            }
        }
    });
}

// ---- Tiles --------------------------------------------------------------------------------------

// Integer additions share ports with multiply-adds, so a step has almost none: offsets within
// kUnroll steps are constants, and so is the layout of a packed panel.
constexpr int kUnroll = 4;

template <int kRows, int kVectors, bool kDirect>
void multiply_tile(const TileProduct& tile) {
    Vec sums[kRows][kVectors];
    for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectors; ++v) {
            const float* row = tile.sums + i * tile.sums_stride + v * kWidth;
            __builtin_prefetch(row, 1);
            sums[i][v] = tile.accumulate ? load(row, AllLanes{}) : splat(0.0f);
        }
    }
    const int64_t row_stride = kDirect ? tile.a_stride : 1;
    constexpr int64_t kStepStride = kDirect ? 1 : kTileRows;
    // One pointer for three rows: x86 scales an index by 1 and 2.
    constexpr int kPointers = (kRows + 2) / 3;
    const float* a[kPointers];
    for (int p = 0; p < kPointers; ++p) {
        a[p] = static_cast<const float*>(tile.a) + 3 * p * row_stride;
    }
    const float* b = static_cast<const float*>(tile.b);
    const auto step = [&](int64_t offset) {
        Vec columns[kVectors];
        for (int v = 0; v < kVectors; ++v)
            __builtin_prefetch(b + (offset + 12) * kTileColumns + v * kWidth);
        for (int v = 0; v < kVectors; ++v) {
            columns[v] = load(b + offset * kTileColumns + v * kWidth, AllLanes{});
        }
        for (int i = 0; i < kRows; ++i) {
            const Vec x = splat(a[i / 3][(i % 3) * row_stride + offset * kStepStride]);
            for (int v = 0; v < kVectors; ++v) sums[i][v] = fma(x, columns[v], sums[i][v]);
        }
    };
    const auto advance = [&](int64_t steps) {
        for (int p = 0; p < kPointers; ++p) a[p] += steps * kStepStride;
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
            store(tile.sums + i * tile.sums_stride + v * kWidth, sums[i][v], AllLanes{});
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
    const int vectors = static_cast<int>((tile.columns + kWidth - 1) / kWidth);
    const MultiplyTable& table = kTables[tile.a_direct ? 1 : 0];
    table.entries[(tile.rows - 1) * kTileVectors + vectors - 1](tile);
}

// ---- Storing ------------------------------------------------------------------------------------

template <class T>
void store_tile(const TileStore& tile) {
    const Vec alpha = splat(tile.alpha), beta = splat(tile.beta);
    for (int64_t i = 0; i < tile.rows; ++i) {
        const float* sums = tile.sums + i * tile.sums_stride;
        T* c = static_cast<T*>(tile.c) + i * tile.c_stride;
        const uint16_t* random =
            tile.random == nullptr ? nullptr : tile.random + i * tile.random_stride;
        for_lanes(tile.columns, [&](int64_t j, auto lanes) {
            Vec x = alpha * load(sums + j, lanes);
            if (tile.beta != 0.0f) x = fma(beta, load(c + j, lanes), x);
            if constexpr (std::is_same_v<T, BFloat16>) {
                if (random != nullptr) return store_stochastic(c + j, x, random + j, lanes);
            }
            store(c + j, x, lanes);
        });
    }
}

void store_c(const TileStore& tile) {
    with_dtype(tile.c_dtype, [&](auto type) { store_tile<decltype(type)>(tile); });
}

double sum_of_squares(const void* c, int32_t c_dtype, int64_t c_stride, int64_t rows,
                      int64_t columns) {
    SquareSum squares;
    with_dtype(c_dtype, [&](auto type) {
        for (int64_t i = 0; i < rows; ++i) {
            const auto* row = static_cast<const decltype(type)*>(c) + i * c_stride;
            for_lanes(columns, [&](int64_t j, auto lanes) { squares.add(load(row + j, lanes)); });
        }
    });
    return squares.total();
}

void nothing() {}

constexpr int64_t kKBlock = 512;
static_assert(kTileRows * kKBlock * static_cast<int64_t>(sizeof(float)) <= kPanelBytes);
static_assert(kTileRows <= kMaxTile && kTileColumns <= kMaxTile && kKBlock >= kMinKBlock);
static_assert(kTileRows >= kMinTileRows && kTileColumns >= kMinTileColumns);

}  // namespace

const GemmKernel kGemmF32 = {
    .rows = kTileRows,
    .columns = kTileColumns,
    .row_step = 1,
    .column_step = kWidth,
    .k_step = 1,
    .element_bytes = sizeof(float),
    .k_block = kKBlock,
    .direct_dtype = CP_F32,
    .conflict_bytes = 4096,
    .products_per_cycle = kProductsPerCycle,
    .pack_a = pack<kTileRows>,
    .pack_b = pack<kTileColumns>,
    .multiply = multiply,
    .store = store_c,
    .sum_of_squares = sum_of_squares,
    .begin = nothing,
    .end = nothing,
};

}  // namespace compact::COMPACT_ISA
