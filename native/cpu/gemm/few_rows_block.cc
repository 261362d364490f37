// The blocks of few_rows.h. Columns of B are read along its rows, several rows at a time, so that
// sums are loaded and stored once for all of them; rows of a transposed B one against every row of
// A, several at a time, so that no sum waits for the one before it.
#include <type_traits>

#include "native/base/bf16.h"
#include "native/cpu/gemm/few_rows.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

// Rows of B at a time: as many as leave registers for their factors. A sum is loaded and stored
// once for all of them.
#if defined(COMPACT_ISA_AVX512)
constexpr int kFactors = 16;  // of 32 registers
#else
constexpr int kFactors = 8;  // of 16
#endif
template <int kRows>
inline constexpr int kDepth = kRows == 1 ? 8 : kFactors / kRows;

float number(float x) { return x; }
float number(BFloat16 x) { return bf16_to_float(x.bits); }

template <int kRows, int kSteps, class T>
void add_steps(const FewRowsBlock& block, int64_t k) {
    const T* a = static_cast<const T*>(block.a) + k;
    const T* b = static_cast<const T*>(block.b) + k * block.b_stride;
    Vec factors[kRows][kSteps];
    for (int row = 0; row < kRows; ++row) {
        for (int step = 0; step < kSteps; ++step) {
            factors[row][step] = splat(number(a[row * block.a_stride + step]));
        }
    }
    for_lanes(block.columns, [&](int64_t j, auto lanes) {
        Vec sums[kRows];
        for (int row = 0; row < kRows; ++row) {
            sums[row] = load(block.sums + row * block.sums_stride + j, lanes);
        }
        for (int step = 0; step < kSteps; ++step) {
            const Vec weights = load(b + step * block.b_stride + j, lanes);
            for (int row = 0; row < kRows; ++row) {
                sums[row] = fma(factors[row][step], weights, sums[row]);
            }
        }
        for (int row = 0; row < kRows; ++row) {
            store(block.sums + row * block.sums_stride + j, sums[row], lanes);
        }
    });
}

template <int kRows, class T>
void add_rows(const FewRowsBlock& block) {
    int64_t k = 0;
    for (; k + kDepth<kRows> <= block.depth; k += kDepth<kRows>) {
        add_steps<kRows, kDepth<kRows>, T>(block, k);
    }
    for (; k < block.depth; ++k) add_steps<kRows, 1, T>(block, k);
}

template <int kRows, int kColumns, class T>
void dot_columns(const FewRowsBlock& block, int64_t first) {
    const T* a = static_cast<const T*>(block.a);
    const T* b = static_cast<const T*>(block.b) + first * block.b_stride;
    Vec sums[kRows][kColumns];
    for (auto& row : sums) {
        for (Vec& one : row) one = splat(0.0f);
    }
    for_lanes(block.depth, [&](int64_t k, auto lanes) {
        Vec x[kRows];
        for (int row = 0; row < kRows; ++row) x[row] = load(a + row * block.a_stride + k, lanes);
        for (int column = 0; column < kColumns; ++column) {
            const Vec weights = load(b + column * block.b_stride + k, lanes);
            for (int row = 0; row < kRows; ++row) {
                sums[row][column] = fma(x[row], weights, sums[row][column]);
            }
        }
    });
    for (int row = 0; row < kRows; ++row) {
        for (int column = 0; column < kColumns; ++column) {
            block.sums[row * block.sums_stride + first + column] = sum(sums[row][column]);
        }
    }
}

template <int kRows, class T>
void dot_rows(const FewRowsBlock& block) {
    constexpr int kColumns = kDepth<kRows>;
    int64_t j = 0;
    for (; j + kColumns <= block.columns; j += kColumns) dot_columns<kRows, kColumns, T>(block, j);
    for (; j < block.columns; ++j) dot_columns<kRows, 1, T>(block, j);
}

// Calls body(T{}, number of rows as a constant) for the dtype and the rows of a block.
template <class Body>
void with_rows(const FewRowsBlock& block, Body body) {
    with_dtype(block.dtype, [&](auto type) {
        switch (block.rows) {
            case 1:
                return body(type, std::integral_constant<int, 1>{});
            case 2:
                return body(type, std::integral_constant<int, 2>{});
            case 3:
                return body(type, std::integral_constant<int, 3>{});
            default:
                return body(type, std::integral_constant<int, 4>{});
        }
    });
}

}  // namespace

void add_few_rows(const FewRowsBlock& block) {
    with_rows(block, [&](auto type, auto rows) {
        add_rows<decltype(rows)::value, decltype(type)>(block);
    });
}

void dot_few_rows(const FewRowsBlock& block) {
    with_rows(block, [&](auto type, auto rows) {
        dot_rows<decltype(rows)::value, decltype(type)>(block);
    });
}

}  // namespace compact::COMPACT_ISA
