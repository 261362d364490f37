// Products of a tile of queries and a tile of keys on AMX tiles, and how their operands are packed.
#pragma once

#include "native/cpu/attention/attention_amx.h"
#include "native/cpu/gemm/gemm_kernel.h"

namespace compact::COMPACT_ISA {

// A part of q, k, v or dO: one head's columns of some rows.
struct HeadRows {
    const BFloat16* data;
    int64_t stride, rows;
};

inline HeadRows head_rows(const CpTensor& tensor, int64_t row, int64_t column, int64_t rows) {
    const int64_t width = tensor.shape[1];
    return {data<BFloat16>(tensor) + row * width + column, width, rows};
}

// Panels with one of their rows (A) or columns (B) per row of `from`; k runs along the head.
inline void pack_rows(GemmPack pack, const AttentionShape& shape, const HeadRows& from,
                      uint16_t* panels) {
    pack({from.data, from.stride, true, CP_BF16}, from.rows, shape.head_size, panels,
         kPanel * whole_panels(shape.head_size) * 2);
}

// Panels with one of their rows (A) or columns (B) per column of the head; k runs along the rows.
inline void pack_columns(GemmPack pack, const AttentionShape& shape, const HeadRows& from,
                         uint16_t* panels) {
    pack({from.data, from.stride, false, CP_BF16}, shape.head_size, from.rows, panels,
         kPanel * whole_panels(from.rows) * 2);
}

// C (rows, columns) [+]= A (rows, depth) B (depth, columns) from panels; rows and columns multiples
// of 16, depth one of kPanel.
inline void multiply_panels(int64_t rows, int64_t columns, int64_t depth, const uint16_t* a,
                            const uint16_t* b, float* c, int64_t c_stride, bool accumulate) {
    for (int64_t i = 0; i < rows; i += kPanel) {
        for (int64_t j = 0; j < columns; j += kPanel) {
            kGemmAmx.multiply({.a = a + i * depth,
                               .a_direct = false,
                               .a_stride = 0,
                               .b = b + j * depth,
                               .steps = depth / kPanel,
                               .sums = c + i * c_stride + j,
                               .sums_stride = c_stride,
                               .accumulate = accumulate,
                               .rows = static_cast<int32_t>(std::min(kPanel, rows - i)),
                               .columns = static_cast<int32_t>(std::min(kPanel, columns - j))});
        }
    }
}

// S^T = scale K Q^T, capped, with -infinity for what a query may not see and for absent keys.
// Writes whole panels of keys and queries.
inline void multiply_keys(const AttentionShape& shape, int64_t sequence, int64_t first_query,
                          int64_t queries, int64_t first_key, int64_t keys,
                          const uint16_t* key_panels, const uint16_t* query_panels, float* scores) {
    multiply_panels(whole_panels(keys), whole_panels(queries), whole_panels(shape.head_size),
                    key_panels, query_panels, scores, kTile, false);
    const Vec scale = splat(shape.scale);
    for (int64_t i = 0; i < keys * kTile; i += kWidth) {
        store(scores + i, load(scores + i, AllLanes{}) * scale, AllLanes{});
    }
    shape.soft_cap.apply(keys * kTile, scores);
    hide_keys(shape, sequence, first_query, first_key, keys, -kInfinity, scores);
    std::fill(scores + keys * kTile, scores + whole_panels(keys) * kTile, -kInfinity);
}

// Panels of B (keys, queries) = bf16(from), from (keys, kTile).
inline void round_to_b(const float* from, int64_t keys, int64_t queries, uint16_t* panels) {
    const __m512i alternate =
        _mm512_setr_epi32(0x00100000, 0x00110001, 0x00120002, 0x00130003, 0x00140004, 0x00150005,
                          0x00160006, 0x00170007, 0x00180008, 0x00190009, 0x001a000a, 0x001b000b,
                          0x001c000c, 0x001d000d, 0x001e000e, 0x001f000f);
    for (int64_t i = 0; i < queries; i += 16) {
        uint16_t* columns = panels + i / kPanel * kPanel * keys + i % kPanel * 2;
        for (int64_t j = 0; j < keys; j += 2) {
            const float* pair = from + j * kTile + i;
            const __m512bh rounded =
                _mm512_cvtne2ps_pbh(_mm512_loadu_ps(pair + kTile), _mm512_loadu_ps(pair));
            _mm512_storeu_si512(
                columns + j * kPanel,
                _mm512_permutexvar_epi16(alternate, reinterpret_cast<__m512i>(rounded)));
        }
    }
}

// Panels of A (keys, queries) = bf16(from), from (keys, kTile).
inline void round_to_a(const float* from, int64_t keys, int64_t queries, uint16_t* panels) {
    for (int64_t j = 0; j < keys; ++j) {
        uint16_t* row = panels + j / kPanel * kPanel * queries + j % kPanel * kPanel;
        for (int64_t i = 0; i < queries; i += kPanel) {
            const float* entries = from + j * kTile + i;
            const __m512bh rounded =
                _mm512_cvtne2ps_pbh(_mm512_loadu_ps(entries + 16), _mm512_loadu_ps(entries));
            _mm512_storeu_si512(row + i * kPanel, reinterpret_cast<__m512i>(rounded));
        }
    }
}

}  // namespace compact::COMPACT_ISA
