// Rows on their way into a value: every type, order and size against a conversion by arithmetic on
// doubles, and arguments that would lead out of either side.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/backend/call.h"
#include "native/core/engine.h"
#include "native/core/error.h"
#include "native/core/place_rows.h"
#include "native/test/check.h"
#include "native/test/op_test.h"
#include "native/test/plan_writer.h"
#include "native/test/stub_backend.h"

namespace compact::test {
namespace {

struct Format {
    int32_t dtype;
    int fraction_bits;
    int smallest_exponent;
    double largest;
};
const Format kF64 = {CP_F64, 52, -1022, std::numeric_limits<double>::max()};
const Format kF32 = {CP_F32, 23, -126, std::numeric_limits<float>::max()};
const Format kBf16 = {CP_BF16, 7, -126, 0x1.fep127};
const Format kF16 = {CP_F16, 10, -14, 65504.0};
const Format kSources[] = {kF64, kF32, kBf16, kF16};
const Format kTargets[] = {kF32, kBf16};

// To nearest, ties to even, as the default rounding of whole numbers is.
double rounded(double x, const Format& format) {
    if (x == 0.0 || !std::isfinite(x)) return x;
    const int exponent = std::max(std::ilogb(x), format.smallest_exponent);
    const double result = std::ldexp(std::nearbyint(std::ldexp(x, format.fraction_bits - exponent)),
                                     exponent - format.fraction_bits);
    return std::fabs(result) > format.largest ? std::copysign(INFINITY, x) : result;
}

// The bits of a number that the format has.
uint64_t bits_of(double x, const Format& format) {
    if (format.dtype == CP_F64) {
        uint64_t bits;
        std::memcpy(&bits, &x, sizeof bits);
        return bits;
    }
    if (format.dtype != CP_F16) {
        const auto single = static_cast<float>(x);
        uint32_t bits;
        std::memcpy(&bits, &single, sizeof bits);
        return format.dtype == CP_F32 ? bits : bits >> 16;
    }
    const uint64_t sign = std::signbit(x) ? 0x8000 : 0;
    if (std::isnan(x)) return sign | 0x7e01;
    if (std::isinf(x)) return sign | 0x7c00;
    const double magnitude = std::fabs(x);
    if (magnitude < 0x1p-14) return sign | static_cast<uint64_t>(magnitude * 0x1p24);
    const int exponent = std::ilogb(magnitude);
    const auto fraction = static_cast<uint64_t>(std::ldexp(magnitude, 10 - exponent)) - 1024;
    return sign | static_cast<uint64_t>(exponent + 15) << 10 | fraction;
}

std::string packed(const std::vector<double>& numbers, const Format& format) {
    std::string bytes;
    for (const double x : numbers) {
        const uint64_t bits = bits_of(x, format);
        bytes.append(reinterpret_cast<const char*>(&bits),
                     static_cast<size_t>(dtype_bytes(format.dtype)));
    }
    return bytes;
}

// Of all sizes that the format has, with ties, subnormal numbers and both zeros; finite in both.
std::vector<double> numbers_of(size_t count, const Format& from, const Format& to) {
    std::mt19937_64 random(count);
    const int lowest = from.smallest_exponent - from.fraction_bits - 1;
    const int highest = std::min(std::ilogb(from.largest), std::ilogb(to.largest));
    std::vector<double> numbers;
    while (numbers.size() < count) {
        const uint64_t word = random();
        const int span = std::min(highest - std::max(lowest, -160), 400);
        const int exponent = highest - static_cast<int>(word % static_cast<uint64_t>(span));
        double fraction = 1.0 + static_cast<double>(word >> 12) * 0x1p-52;
        if (word % 3 == 0) fraction = 1.0 + static_cast<double>(word >> 55) * 0x1p-9;  // many ties
        double x = std::ldexp(word & (1u << 20) ? -fraction : fraction, exponent);
        if (word % 97 == 0) x = std::copysign(0.0, x);
        x = rounded(x, from);
        if (std::isfinite(x) && std::isfinite(rounded(x, to))) numbers.push_back(x);
    }
    return numbers;
}

struct Size {
    int64_t rows, columns, before, behind;  // columns that are not the matrix's, on both sides
};
const std::vector<Size> kPlacedSizes = {{1, 1, 0, 0},   {7, 5, 0, 0},    {8, 16, 0, 0},
                                        {64, 48, 0, 0}, {71, 37, 3, 2},  {16, 33, 0, 5},
                                        {3, 0, 1, 1},   {530, 19, 0, 1}, {1030, 50, 2, 0}};

// Rows of the target begin at cache lines, or anywhere.
void check_placed(const Format& from, const Format& to, const Size& size, bool is_turned,
                  bool is_in_lines) {
    const int64_t stride = size.before + size.columns + size.behind;
    const auto given = numbers_of(static_cast<size_t>(size.rows * stride), from, to);
    const std::string source_bytes = packed(given, from);
    // Exactly as many bytes as there are: what is read behind them a sanitizer sees.
    const std::vector<char> source(source_bytes.begin(), source_bytes.end());
    const int64_t bytes = dtype_bytes(to.dtype);
    const int64_t beside = 3 + (is_turned ? size.rows : size.columns);
    const int64_t target_stride = is_in_lines ? (beside + 63) / 64 * 64 : beside;
    const int64_t target_rows = is_turned ? size.columns : size.rows;
    const int64_t target_columns = is_turned ? size.rows : size.columns;
    GuardedBytes target(target_rows * target_stride * bytes, kGuard);
    const Rows rows = {source.data() + size.before * dtype_bytes(from.dtype),
                       from.dtype,
                       size.rows,
                       size.columns,
                       stride,
                       is_turned};
    CHECK(place_rows(rows, to.dtype, target.data(), target_stride));
    std::string right(static_cast<size_t>(target.bytes()), static_cast<char>(kGuard));
    for (int64_t row = 0; row < size.rows; ++row) {
        for (int64_t column = 0; column < size.columns; ++column) {
            const double x = given[static_cast<size_t>(row * stride + size.before + column)];
            const std::string number = packed({rounded(x, to)}, to);
            const int64_t place =
                is_turned ? column * target_stride + row : row * target_stride + column;
            right.replace(static_cast<size_t>(place * bytes), number.size(), number);
        }
    }
    CHECK(target.guards_intact());
    if (!CHECK(std::memcmp(right.data(), target.data(), right.size()) == 0))
        std::printf("      %s to %s, %d x %d of %d%s\n", std::to_string(from.dtype).c_str(),
                    std::to_string(to.dtype).c_str(), static_cast<int>(target_rows),
                    static_cast<int>(target_columns), static_cast<int>(stride),
                    is_turned ? ", turned" : "");
}

template <typename Body>
std::string code_of(Body&& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.code;
    }
    return "";
}

std::span<const uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST(placed_rows_of_every_type_order_and_size) {
    for (const Format& from : kSources) {
        for (const Format& to : kTargets) {
            for (const Size& size : kPlacedSizes) {
                for (const bool is_turned : {false, true}) {
                    for (const bool is_in_lines : {false, true})
                        check_placed(from, to, size, is_turned, is_in_lines);
                }
            }
        }
    }
}

// All of them: f16 has few enough.
TEST(placed_rows_of_every_f16) {
    std::vector<uint16_t> halves(65536);
    for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
    for (const Format& to : kTargets) {
        for (const uint16_t half : halves) {
            uint32_t word = 0;
            const bool finite = place_rows({&half, CP_F16, 1, 1, 1, false}, to.dtype, &word, 1);
            const int exponent = half >> 10 & 31;
            if (!CHECK(finite == (exponent != 31))) return;
            if (!finite) continue;
            const double fraction = half & 1023;
            const double magnitude =
                exponent == 0 ? fraction * 0x1p-24 : std::ldexp(1024.0 + fraction, exponent - 25);
            const double x = half & 0x8000 ? -magnitude : magnitude;
            if (!CHECK(word == bits_of(rounded(x, to), to))) return;
        }
    }
}

TEST(placed_rows_that_are_not_finite) {
    const double too_large_for_bf16 = 0x1.ffp127, too_large_for_f32 = 0x1.ffffffp127;
    for (const Format& from : kSources) {
        for (const Format& to : kTargets) {
            std::vector<double> culprits = {std::nan(""), -std::nan(""), INFINITY, -INFINITY};
            for (const double x : {too_large_for_bf16, too_large_for_f32, -1e300}) {
                const double given = rounded(x, from);
                if (std::isfinite(given) && std::isinf(rounded(given, to)))
                    culprits.push_back(given);
            }
            for (const double culprit : culprits) {
                for (const int64_t place : {0, 7, 16 * 40 + 13, 16 * 40 + 47, 39 * 50 + 49}) {
                    for (const bool is_turned : {false, true}) {
                        std::vector<double> numbers(40 * 50, 1.0);
                        numbers[static_cast<size_t>(place)] = culprit;
                        const std::string source = packed(numbers, from);
                        std::vector<float> target(40 * 50);
                        const int64_t stride = is_turned ? 40 : 50;
                        CHECK(!place_rows({source.data(), from.dtype, 40, 50, 50, is_turned},
                                          to.dtype, target.data(), stride));
                    }
                }
            }
        }
    }
    // Every NaN of 32 bits with one bit of a fraction, signalling ones too.
    for (int bit = 0; bit < 23; ++bit) {
        for (const uint32_t sign : {0u, 0x80000000u}) {
            const uint32_t nan = sign | 0x7f800000u | 1u << bit;
            uint32_t word = 0;
            for (const int32_t to : {CP_F32, CP_BF16})
                CHECK(!place_rows({&nan, CP_F32, 1, 1, 1, false}, to, &word, 1));
        }
    }
}

TEST(placed_rows_of_whole_numbers_stay_as_they_are) {
    const std::vector<uint32_t> words = {0x7f800000u, 0xffffffffu, 1};
    std::vector<uint32_t> found(3);
    CHECK(place_rows({words.data(), CP_I32, 3, 1, 1, false}, CP_I32, found.data(), 1));
    CHECK(found == words);
    const std::string codes = "\x80\xff\x7f\x01\x02\x03";
    for (const int32_t dtype : {CP_U8, CP_I8}) {
        std::string turned(6, '\0');
        CHECK(place_rows({codes.data(), dtype, 2, 3, 3, true}, dtype, turned.data(), 2));
        CHECK(turned == std::string("\x80\x01\xff\x02\x7f\x03"));
    }
    std::vector<uint8_t> bytes(130 * 70);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
    GuardedBytes target(70 * 192, kGuard);
    CHECK(place_rows({bytes.data(), CP_U8, 130, 70, 70, true}, CP_U8, target.data(), 192));
    for (size_t row = 0; row < 130; ++row) {
        for (size_t column = 0; column < 70; ++column)
            CHECK(static_cast<uint8_t>(target.data()[column * 192 + row]) ==
                  bytes[row * 70 + column]);
    }
    for (const int32_t to : {CP_F32, CP_BF16, CP_I32, CP_U8, CP_I8}) {
        const bool is_float = to == CP_F32 || to == CP_BF16;
        for (int32_t from = -1; from <= CP_F64 + 1; ++from) {
            const bool from_float =
                from == CP_F32 || from == CP_BF16 || from == CP_F16 || from == CP_F64;
            CHECK(can_place(from, to) == (is_float ? from_float : from == to));
        }
    }
}

// The engine cuts rows as the backend asks: the stub one by one, the CPU for its threads.
TEST(engine_writes_rows) {
    Engine engine(stub_backend(), EngineOptions{});
    engine.open();
    engine.load(PlanWriter::encode(small_plan()));
    const std::string rows = packed({9, 1, 4, 9, 9, 2, 5, 9}, kF16);  // columns 1 and 2 of four
    RowsRequest request{bytes_of(rows), CP_F16, 4, 1, 2, 0, true};
    engine.write_rows("weight", request);
    const std::string last = packed({3, 6}, kF64);
    engine.write_rows("weight", {bytes_of(last), CP_F64, 2, 0, 2, 2, true});
    std::vector<float> found(6);
    const auto read = [&] {
        engine.read("weight", 0, {reinterpret_cast<uint8_t*>(found.data()), 24});
        return found;
    };
    CHECK((read() == std::vector<float>{1, 2, 3, 4, 5, 6}));
    engine.write_rows("weight", {bytes_of(last), CP_F64, 1, 0, 1, 3, false});
    CHECK((read() == std::vector<float>{1, 2, 3, 3, 6, 6}));
    engine.write_rows("weight", {{}, CP_F64, 1, 0, 1, 6, false});

    const int64_t most = std::numeric_limits<int64_t>::max(), least = -most - 1;
    const auto refused = [&](RowsRequest wrong) {
        return code_of([&] { engine.write_rows("weight", wrong); }) == "ERR_COMPACT_ARGUMENT";
    };
    for (const int64_t number : {least, int64_t{-1}, int64_t{7}, int64_t{1} << 62, most}) {
        RowsRequest wrong = request;
        wrong.stride = number;
        CHECK(refused(wrong));
        wrong = request;
        wrong.first_column = number;
        CHECK(refused(wrong));
        wrong = request;
        wrong.num_columns = number;
        CHECK(refused(wrong));
        wrong = request;
        wrong.first_row = number;
        CHECK(refused(wrong));
    }
    request.first_row = 2;  // one row is left
    CHECK(refused(request));
    request.first_row = 0;
    request.num_columns = 0;
    CHECK(refused(request));
    request.num_columns = 2;
    request.bytes = request.bytes.first(15);
    CHECK(refused(request));
    request.bytes = bytes_of(rows).subspan(1, 8);
    CHECK(refused(request));
    request.bytes = bytes_of(rows);
    for (const int32_t dtype : {-1, static_cast<int32_t>(CP_I32), CP_F64 + 1}) {
        request.dtype = dtype;
        CHECK(code_of([&] { engine.write_rows("weight", request); }) == "ERR_COMPACT_TYPE");
    }
    CHECK(code_of([&] { engine.write_rows("x", request); }) == "ERR_COMPACT_VALUE_UNKNOWN");
    CHECK((read() == std::vector<float>{1, 2, 3, 3, 6, 6}));
    const std::string bad = packed({1, 1e39}, kF64);
    CHECK(code_of([&] {
              engine.write_rows("weight", {bytes_of(bad), CP_F64, 1, 0, 1, 0, false});
          }) == "ERR_COMPACT_NOT_FINITE");
}

}  // namespace compact::test
