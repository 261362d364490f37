#include "native/core/place_rows.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "native/backend/call.h"
#include "native/base/bf16.h"

namespace compact {
namespace {

// ---- Types of numbers, as bits ------------------------------------------------------------------

// `kOne` is the last bit of the exponent: added to an exponent of ones alone, which is NaN or
// infinity, it carries into the sign.
struct F64 {
    using Bits = uint64_t;
};
struct F32 {
    using Bits = uint32_t;
    static constexpr Bits kExponent = 0x7f800000u, kOne = 0x00800000u;
};
struct Bf16 {
    using Bits = uint16_t;
    static constexpr Bits kExponent = 0x7f80, kOne = 0x0080;
};
struct F16 {
    using Bits = uint16_t;
};
// Integers, and codes: they stay as they are, and all are finite.
struct Word {
    using Bits = uint32_t;
    static constexpr Bits kExponent = 0, kOne = 0;
};
struct Byte {
    using Bits = uint8_t;
    static constexpr Bits kExponent = 0, kOne = 0;
};

// The sign is set where the number is not finite; what is below it means nothing.
template <class T>
typename T::Bits not_finite(typename T::Bits bits) {
    return static_cast<typename T::Bits>((bits & T::kExponent) + T::kOne);
}
template <class T>
bool has_sign(typename T::Bits bits) {
    return T::kOne != 0 && bits >> (8 * sizeof bits - 1) != 0;
}

// Exact. Adding and taking away 2^-14, the smallest normal number, moves the fraction of a
// subnormal one to where it belongs. Signed, for vectors of SSE2 compare nothing else.
uint32_t f32_of_f16(uint16_t bits) {
    constexpr int32_t kBias = 112 << 23, kSmallest = 113 << 23;
    const int32_t magnitude = (bits & 0x7fff) << 13;
    const int32_t moved = magnitude + kBias;
    const int32_t subnormal = static_cast<int32_t>(float_bits(
        float_from_bits(static_cast<uint32_t>(moved + (1 << 23))) - float_from_bits(kSmallest)));
    const int32_t finite = moved < kSmallest ? subnormal : moved;
    const int32_t infinite = magnitude >= 31 << 23 ? kBias : 0;
    return static_cast<uint32_t>(finite + infinite) | static_cast<uint32_t>(bits & 0x8000) << 16;
}

double f64_of(uint64_t bits) {
    double number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// Rounded to odd, which no second rounding can see (Boldo and Melquiond 2008): the last bit is set
// wherever the f32 is not exact.
uint32_t odd_f32_of_f64(uint64_t bits) {
    const double exact = f64_of(bits);
    const float nearest = static_cast<float>(exact);
    const double rounded = nearest;
    const uint32_t word = float_bits(nearest);
    const bool finite = (word & F32::kExponent) != F32::kExponent;
    if (exact == rounded || !finite || (word & 1u) != 0) return word;
    const bool is_below = (exact < 0 ? -rounded : rounded) < (exact < 0 ? -exact : exact);
    return is_below ? word + 1 : word - 1;
}

// To nearest, ties to even; beyond the largest number of the type is infinity.
template <class From, class To>
struct Conversion;
template <class T>
struct Conversion<T, T> {
    static typename T::Bits of(typename T::Bits bits) { return bits; }
};
template <>
struct Conversion<Bf16, F32> {
    static uint32_t of(uint16_t bits) { return static_cast<uint32_t>(bits) << 16; }
};
template <>
struct Conversion<F16, F32> {
    static uint32_t of(uint16_t bits) { return f32_of_f16(bits); }
};
template <>
struct Conversion<F64, F32> {
    static uint32_t of(uint64_t bits) { return float_bits(static_cast<float>(f64_of(bits))); }
};
template <>
struct Conversion<F32, Bf16> {
    static uint16_t of(uint32_t bits) { return bf16_from_float(float_from_bits(bits)); }
};
template <>
struct Conversion<F16, Bf16> {
    static uint16_t of(uint16_t bits) { return Conversion<F32, Bf16>::of(f32_of_f16(bits)); }
};
template <>
struct Conversion<F64, Bf16> {
    static uint16_t of(uint64_t bits) { return Conversion<F32, Bf16>::of(odd_f32_of_f64(bits)); }
};

// ---- In their own order -------------------------------------------------------------------------

// Whether all are finite.
template <class From, class To>
bool place_run(const typename From::Bits* source, int64_t count, typename To::Bits* target) {
    typename To::Bits found = 0;
    for (int64_t i = 0; i < count; ++i) {
        const auto bits = Conversion<From, To>::of(source[i]);
        target[i] = bits;
        found = static_cast<typename To::Bits>(found | not_finite<To>(bits));
    }
    return !has_sign<To>(found);
}

template <class From, class To>
bool place_straight(const Rows& rows, typename To::Bits* target, int64_t target_stride) {
    const auto* source = static_cast<const typename From::Bits*>(rows.data);
    if (rows.stride == rows.num_columns && target_stride == rows.num_columns)
        return place_run<From, To>(source, rows.num_rows * rows.num_columns, target);
    bool finite = true;
    for (int64_t row = 0; row < rows.num_rows; ++row)
        finite &= place_run<From, To>(source + row * rows.stride, rows.num_columns,
                                      target + row * target_stride);
    return finite;
}

// ---- Turned round -------------------------------------------------------------------------------

constexpr int64_t kBlock = 8;  // side of a square that is turned in registers

template <class Bits>
void turn_block(const Bits* block, int64_t block_stride, Bits* target, int64_t stride) {
    for (int64_t column = 0; column < kBlock; ++column) {
        for (int64_t row = 0; row < kBlock; ++row)
            target[column * stride + row] = block[row * block_stride + column];
    }
}

#if defined(__SSE2__)
void turn_block(const uint16_t* block, int64_t block_stride, uint16_t* target, int64_t stride) {
    __m128i pairs[8], quads[8];  // low and high halves of rows 0 1, 2 3, ...; of rows 0 ... 3, ...
    for (int i = 0; i < 8; i += 2) {
        const __m128i even =
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + i * block_stride));
        const __m128i odd =
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + (i + 1) * block_stride));
        pairs[i] = _mm_unpacklo_epi16(even, odd);
        pairs[i + 1] = _mm_unpackhi_epi16(even, odd);
    }
    for (int half = 0; half < 8; half += 4) {
        for (int i = 0; i < 2; ++i) {
            quads[half + 2 * i] = _mm_unpacklo_epi32(pairs[half + i], pairs[half + i + 2]);
            quads[half + 2 * i + 1] = _mm_unpackhi_epi32(pairs[half + i], pairs[half + i + 2]);
        }
    }
    for (int i = 0; i < 4; ++i) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target + 2 * i * stride),
                         _mm_unpacklo_epi64(quads[i], quads[i + 4]));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(target + (2 * i + 1) * stride),
                         _mm_unpackhi_epi64(quads[i], quads[i + 4]));
    }
}

void turn_block(const uint32_t* block, int64_t block_stride, uint32_t* target, int64_t stride) {
    for (int row = 0; row < 8; row += 4) {
        for (int column = 0; column < 8; column += 4) {
            __m128i lines[4];
            for (int i = 0; i < 4; ++i)
                lines[i] = _mm_loadu_si128(
                    reinterpret_cast<const __m128i*>(block + (row + i) * block_stride + column));
            const __m128i low01 = _mm_unpacklo_epi32(lines[0], lines[1]);
            const __m128i low23 = _mm_unpacklo_epi32(lines[2], lines[3]);
            const __m128i high01 = _mm_unpackhi_epi32(lines[0], lines[1]);
            const __m128i high23 = _mm_unpackhi_epi32(lines[2], lines[3]);
            const __m128i turned[4] = {
                _mm_unpacklo_epi64(low01, low23), _mm_unpackhi_epi64(low01, low23),
                _mm_unpacklo_epi64(high01, high23), _mm_unpackhi_epi64(high01, high23)};
            for (int i = 0; i < 4; ++i)
                _mm_storeu_si128(reinterpret_cast<__m128i*>(target + (column + i) * stride + row),
                                 turned[i]);
        }
    }
}
#endif

// Of both sides of a tile: cache lines of the target are filled by its rows, so that each is
// written once and whole.
constexpr int64_t kLineBytes = 64;
constexpr int64_t kTileColumns = 32;
// Rows whose columns are turned together: their lines stay in a cache until the last of their
// numbers is read.
constexpr int64_t kRowsTogether = 512;

// A line that nobody reads soon goes past the caches: it need not be fetched to be written.
#if defined(__SSE2__)
void store_line(const void* line, void* target) {
    const auto* from = static_cast<const __m128i*>(line);
    auto* to = static_cast<__m128i*>(target);
    for (int i = 0; i < 4; ++i) _mm_stream_si128(to + i, _mm_load_si128(from + i));
}
// What went past the caches is seen by other threads after this.
void end_of_lines() { _mm_sfence(); }
#else
void store_line(const void* line, void* target) { std::memcpy(target, line, kLineBytes); }
void end_of_lines() {}
#endif

// `kRows` rows of a tile's columns. Whether all are finite.
template <class From, class To, int64_t kRows, bool kWholeLines>
bool place_tile(const typename From::Bits* source, int64_t source_stride, typename To::Bits* target,
                int64_t target_stride) {
    typename From::Bits given[kRows * kTileColumns];
    typename To::Bits tile[kRows * kTileColumns];
    alignas(kLineBytes) typename To::Bits turned[kTileColumns * kRows];
    for (int64_t row = 0; row < kRows; ++row) {
        const auto* numbers = source + row * source_stride;
        std::memcpy(given + row * kTileColumns, numbers, sizeof(given) / kRows);
        __builtin_prefetch(numbers + kRows * source_stride);  // of the next tile
    }
    const bool finite = place_run<From, To>(given, kRows * kTileColumns, tile);
    for (int64_t row = 0; row < kRows; row += kBlock) {
        for (int64_t column = 0; column < kTileColumns; column += kBlock)
            turn_block(tile + row * kTileColumns + column, kTileColumns,
                       turned + column * kRows + row, kRows);
    }
    for (int64_t column = 0; column < kTileColumns; ++column) {
        const auto* line = turned + column * kRows;
        auto* place = target + column * target_stride;
        if constexpr (kWholeLines)
            store_line(line, place);
        else
            std::memcpy(place, line, sizeof(turned) / kTileColumns);
    }
    return finite;
}

// Tiles of `kRows` rows, of all columns but the last few.
template <class From, class To, int64_t kRows, bool kWholeLines>
bool place_tiles(const typename From::Bits* source, int64_t source_stride, int64_t row_begin,
                 int64_t row_end, int64_t num_columns, typename To::Bits* target,
                 int64_t target_stride) {
    bool finite = true;
    for (int64_t begin = row_begin; begin < row_end; begin += kRowsTogether) {
        const int64_t end = std::min(row_end, begin + kRowsTogether);
        for (int64_t column = 0; column < num_columns; column += kTileColumns) {
            for (int64_t row = begin; row < end; row += kRows)
                finite &= place_tile<From, To, kRows, kWholeLines>(
                    source + row * source_stride + column, source_stride,
                    target + column * target_stride + row, target_stride);
        }
    }
    return finite;
}

template <class From, class To>
bool place_turned(const Rows& rows, typename To::Bits* target, int64_t target_stride) {
    using Target = typename To::Bits;
    constexpr int64_t kLine = kLineBytes / sizeof(Target);
    const auto* const source = static_cast<const typename From::Bits*>(rows.data);
    const int64_t stride = rows.stride, num_columns = rows.num_columns;
    const int64_t whole_columns = num_columns / kTileColumns * kTileColumns;
    const int64_t line_rows = rows.num_rows / kLine * kLine;
    const int64_t block_rows = rows.num_rows / kBlock * kBlock;
    const bool has_whole_lines =
        reinterpret_cast<uintptr_t>(target) % kLineBytes == 0 && target_stride % kLine == 0;
    bool finite = true;
    if (has_whole_lines) {
        finite &= place_tiles<From, To, kLine, true>(source, stride, 0, line_rows, whole_columns,
                                                     target, target_stride);
        end_of_lines();
    } else {
        finite &= place_tiles<From, To, kLine, false>(source, stride, 0, line_rows, whole_columns,
                                                      target, target_stride);
    }
    finite &= place_tiles<From, To, kBlock, false>(source, stride, line_rows, block_rows,
                                                   whole_columns, target, target_stride);
    const auto place_singly = [&](int64_t row_begin, int64_t row_end, int64_t column_begin) {
        for (int64_t row = row_begin; row < row_end; ++row) {
            for (int64_t column = column_begin; column < num_columns; ++column) {
                const Target bits = Conversion<From, To>::of(source[row * stride + column]);
                target[column * target_stride + row] = bits;
                finite &= !has_sign<To>(not_finite<To>(bits));
            }
        }
    };
    place_singly(0, block_rows, whole_columns);
    place_singly(block_rows, rows.num_rows, 0);
    return finite;
}

// ---- By type ------------------------------------------------------------------------------------

template <class From, class To>
bool place(const Rows& rows, void* target, int64_t target_stride) {
    auto* const numbers = static_cast<typename To::Bits*>(target);
    return rows.is_turned ? place_turned<From, To>(rows, numbers, target_stride)
                          : place_straight<From, To>(rows, numbers, target_stride);
}

using Placement = bool (*)(const Rows& rows, void* target, int64_t target_stride);

// nullptr for numbers that do not become one another.
Placement placement(int32_t from, int32_t to) {
    if (to == CP_F32) {
        if (from == CP_F64) return place<F64, F32>;
        if (from == CP_F32) return place<F32, F32>;
        if (from == CP_BF16) return place<Bf16, F32>;
        if (from == CP_F16) return place<F16, F32>;
    }
    if (to == CP_BF16) {
        if (from == CP_F64) return place<F64, Bf16>;
        if (from == CP_F32) return place<F32, Bf16>;
        if (from == CP_BF16) return place<Bf16, Bf16>;
        if (from == CP_F16) return place<F16, Bf16>;
    }
    if (from != to) return nullptr;
    if (to == CP_I32) return place<Word, Word>;
    return to == CP_U8 || to == CP_I8 ? place<Byte, Byte> : nullptr;
}

}  // namespace

bool can_place(int32_t from, int32_t to) { return placement(from, to) != nullptr; }

bool place_rows(const Rows& rows, int32_t dtype, void* target, int64_t target_stride) {
    return placement(rows.dtype, dtype)(rows, target, target_stride);
}

Rows some_rows(const Rows& rows, int64_t first, int64_t count) {
    Rows some = rows;
    const int64_t numbers = rows.is_turned ? first : first * rows.stride;
    some.data = static_cast<const char*>(rows.data) + numbers * dtype_bytes(rows.dtype);
    (rows.is_turned ? some.num_columns : some.num_rows) = count;
    return some;
}

}  // namespace compact
