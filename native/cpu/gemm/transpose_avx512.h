// A 16 x 16 matrix of 32-bit elements, transposed in registers.
#pragma once

#include <immintrin.h>

namespace compact {

static inline void transpose_16x16(__m512i (&row)[16]) {
    __m512i pair[16], quad[16];
    for (int i = 0; i < 16; i += 2) {
        pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
    // quad[i + c]: column 4 * lane + c of rows i ... i + 3, in each 128-bit lane
    for (int i = 0; i < 16; i += 4) {
        quad[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
        quad[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
        quad[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        quad[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    for (int column = 0; column < 4; ++column) {
        const __m512i low02 = _mm512_shuffle_i32x4(quad[column], quad[column + 4], 0x88);
        const __m512i low13 = _mm512_shuffle_i32x4(quad[column], quad[column + 4], 0xdd);
        const __m512i high02 = _mm512_shuffle_i32x4(quad[column + 8], quad[column + 12], 0x88);
        const __m512i high13 = _mm512_shuffle_i32x4(quad[column + 8], quad[column + 12], 0xdd);
        row[column] = _mm512_shuffle_i32x4(low02, high02, 0x88);
        row[column + 4] = _mm512_shuffle_i32x4(low13, high13, 0x88);
        row[column + 8] = _mm512_shuffle_i32x4(low02, high02, 0xdd);
        row[column + 12] = _mm512_shuffle_i32x4(low13, high13, 0xdd);
    }
}

}  // namespace compact
