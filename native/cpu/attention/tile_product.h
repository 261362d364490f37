// Products of small fp32 tiles that stand in cache, for attention.
#pragma once

#include "native/cpu/simd/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace compact::COMPACT_ISA {

// A matrix whose entries are read one by one: entry (row, k) = data[row * row_stride + k *
// k_stride].
struct TileOperand {
    const float* data;
    int64_t row_stride, k_stride;
};

// Registers: kTileRows x kTileVectors sums; one broadcast entry of A meets kTileVectors of B.
#if defined(COMPACT_ISA_AVX512)
inline constexpr int kTileRows = 8;
#else
inline constexpr int kTileRows = 4;
#endif
inline constexpr int kTileVectors = 2;

template <int kRows, int kVectors>
inline void multiply_block(const TileOperand& a, const float* b, int64_t b_stride, float* c,
                           int64_t c_stride, int64_t depth, bool accumulate) {
    Vec sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
            sums[row][v] =
                accumulate ? load(c + row * c_stride + v * kWidth, AllLanes{}) : splat(0.0f);
        }
    }
    const float* entry = a.data;
    for (int64_t k = 0; k < depth; ++k) {
        Vec columns[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) columns[v] = load(b + v * kWidth, AllLanes{});
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            const Vec factor = splat(entry[row * a.row_stride]);
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; ++v) sums[row][v] = fma(factor, columns[v], sums[row][v]);
        }
        entry += a.k_stride;
        b += b_stride;
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
            store(c + row * c_stride + v * kWidth, sums[row][v], AllLanes{});
        }
    }
}

template <int kVectors>
inline void multiply_columns(int64_t rows, const TileOperand& a, const float* b, int64_t b_stride,
                             float* c, int64_t c_stride, int64_t depth, bool accumulate) {
    int64_t row = 0;
    for (; row + kTileRows <= rows; row += kTileRows) {
        const TileOperand part = {a.data + row * a.row_stride, a.row_stride, a.k_stride};
        multiply_block<kTileRows, kVectors>(part, b, b_stride, c + row * c_stride, c_stride, depth,
                                            accumulate);
    }
    for (; row < rows; ++row) {
        const TileOperand part = {a.data + row * a.row_stride, a.row_stride, a.k_stride};
        multiply_block<1, kVectors>(part, b, b_stride, c + row * c_stride, c_stride, depth,
                                    accumulate);
    }
}

// C (rows, columns) [+]= A (rows, depth) B (depth, columns); columns a multiple of kWidth.
inline void multiply_tile(int64_t rows, int64_t columns, int64_t depth, const TileOperand& a,
                          const float* b, int64_t b_stride, float* c, int64_t c_stride,
                          bool accumulate) {
    int64_t column = 0;
    for (; column + kTileVectors * kWidth <= columns; column += kTileVectors * kWidth) {
        multiply_columns<kTileVectors>(rows, a, b + column, b_stride, c + column, c_stride, depth,
                                       accumulate);
    }
    for (; column < columns; column += kWidth) {
        multiply_columns<1>(rows, a, b + column, b_stride, c + column, c_stride, depth, accumulate);
    }
}

// to (columns, rows) = the transpose of from (rows, columns); both sizes multiples of 4.
inline void transpose_tile(int64_t rows, int64_t columns, const float* from, int64_t from_stride,
                           float* to, int64_t to_stride) {
    for (int64_t row = 0; row < rows; row += 4) {
        for (int64_t column = 0; column < columns; column += 4) {
            const float* source = from + row * from_stride + column;
            float* target = to + column * to_stride + row;
#if defined(__SSE2__)
            __m128 r0 = _mm_loadu_ps(source), r1 = _mm_loadu_ps(source + from_stride);
            __m128 r2 = _mm_loadu_ps(source + 2 * from_stride);
            __m128 r3 = _mm_loadu_ps(source + 3 * from_stride);
            _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
            _mm_storeu_ps(target, r0);
            _mm_storeu_ps(target + to_stride, r1);
            _mm_storeu_ps(target + 2 * to_stride, r2);
            _mm_storeu_ps(target + 3 * to_stride, r3);
#else
            for (int i = 0; i < 4; ++i) {
                for (int j = 0; j < 4; ++j) {
                    target[j * to_stride + i] = source[i * from_stride + j];
                }
            }
#endif
        }
    }
}

}  // namespace compact::COMPACT_ISA
