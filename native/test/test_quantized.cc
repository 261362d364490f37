// Products with quantised matrices have the bits of products with what is dequantised.
#include <array>
#include <vector>

#include "native/test/op_test.h"

namespace compact::test {
namespace {

// NF4 of so many columns, padded to an even number, has a range for every 16384 elements.
int64_t spans_of(int64_t rows, int64_t columns) {
    return (rows * (columns + columns % 2) + 16383) / 16384;
}

// w (rows, columns) in int8 or NF4, and the numbers that the codes stand for.
struct Quantised {
    bool is_nf4;
    Tensor codes, scales, magnitudes, numbers;

    Quantised(bool nf4, Tensor w, int64_t rows, int64_t columns, double group_size, int32_t dtype)
        : is_nf4(nf4),
          codes({rows, nf4 ? (columns + 1) / 2 : columns}, nf4 ? CP_U8 : CP_I8),
          scales(
              nf4 ? std::vector{spans_of(rows, columns), int64_t{2}}
                  : std::vector{(rows * columns + int64_t(group_size) - 1) / int64_t(group_size)}),
          magnitudes({spans_of(rows, columns), 256}, CP_U8),
          numbers({rows, columns}, dtype) {
        CpDevice device{ThreadPool(1), InstructionSet::kScalar};
        OpCall there(nf4 ? "quantizeNf4" : "quantize"), back(nf4 ? "dequantizeNf4" : "dequantize");
        there.input(w).output(codes);
        back.input(codes);
        if (nf4) {
            there.output(magnitudes);
            back.input(magnitudes);
        } else {
            there.attribute("groupSize", group_size);
            back.attribute("groupSize", group_size);
        }
        CHECK(there.output(scales).run(device) == CP_OK);
        CHECK(back.input(scales).output(numbers).run(device) == CP_OK);
    }

    // The op with these operands.
    OpCall product(Tensor& a, Tensor& c, bool transposed, double group_size) {
        OpCall call(is_nf4 ? "matmulNf4" : "matmulInt8");
        call.input(a).input(codes);
        if (is_nf4) call.input(magnitudes);
        call.input(scales).output(c).attribute("transposeB", transposed);
        if (!is_nf4) call.attribute("groupSize", group_size);
        return call;
    }
};

}  // namespace

// Ragged tiles, several blocks and several slices of the inner dimension; groups across rows.
TEST(products_with_codes_have_the_bits_of_those_with_numbers) {
    const std::vector<std::array<int64_t, 3>> shapes = {
        {1, 1, 2}, {33, 41, 123}, {9, 4099, 34}, {9, 34, 4101}, {70, 600, 1100}};
    for (const auto& [m, rows, columns] : sizes(shapes, {0, 1, 2})) {
        for (int variant = 0; variant < 16; ++variant) {
            const int32_t dtype = (variant & 1) != 0 ? CP_BF16 : CP_F32;
            const int32_t c_dtype = (variant & 2) != 0 ? CP_BF16 : CP_F32;
            const bool nf4 = (variant & 4) != 0, transposed = (variant & 8) != 0;
            constexpr double kGroup = 128;
            Numbers numbers(67);
            Quantised w(nf4, numbers.tensor({rows, columns}, dtype, 0.02), rows, columns, kGroup,
                        dtype);
            Tensor a = numbers.tensor({m, transposed ? columns : rows}, dtype);
            for_every_device([&, m = m, n = transposed ? rows : columns](CpDevice& device) {
                Tensor expected({m, n}, c_dtype), found({m, n}, c_dtype);
                OpCall matmul("matmul");
                matmul.input(a).input(w.numbers).absent().absent().output(expected);
                matmul.attribute("transposeA", 0).attribute("transposeB", transposed);
                matmul.attribute("alpha", 1).attribute("accumulate", 0);
                CHECK(matmul.run(device) == CP_OK);
                CHECK(w.product(a, found, transposed, kGroup).run(device) == CP_OK);
                CHECK(found.contents() == expected.contents());
                return found.contents();
            });
        }
    }
}

TEST(what_is_not_finite_does_not_come_back_finite_from_nf4) {
    for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
        Numbers numbers(68);
        Tensor x = numbers.tensor({2, 130});
        x.set(70, value);
        for_every_device([&](CpDevice& device) {
            Tensor codes({2, 65}, CP_U8), magnitudes({1, 256}, CP_U8), ranges({1, 2}), y({2, 130});
            OpCall there("quantizeNf4"), back("dequantizeNf4");
            there.input(x).output(codes).output(magnitudes).output(ranges);
            CHECK(there.run(device) == CP_OK);
            back.input(codes).input(magnitudes).input(ranges).output(y);
            CHECK(back.run(device) == CP_OK);
            CHECK(!std::isfinite(y.get(70)));
            return y.contents();
        });
    }
}

TEST(products_with_codes_refuse_operands_that_do_not_fit) {
    Tensor a({3, 4}), c({3, 6}), codes({4, 6}, CP_I8), scales({3}), halves({4, 3}, CP_U8);
    Tensor magnitudes({1, 256}, CP_U8), two({2, 256}, CP_U8), ranges({1, 2});
    Tensor narrow({3, 5}), short_a({3, 5});
    const auto int8 = [&](Tensor& left, Tensor& right, double group_size) {
        OpCall call("matmulInt8");
        call.input(left).input(codes).input(scales).output(right);
        return call.attribute("groupSize", group_size).attribute("transposeB", 0);
    };
    const auto nf4 = [&](Tensor& of_blocks) {
        OpCall call("matmulNf4");
        call.input(a).input(halves).input(of_blocks).input(ranges).output(c);
        return call.attribute("transposeB", 0);
    };
    CHECK(int8(a, c, 8).check() == CP_OK && nf4(magnitudes).check() == CP_OK);
    OpCall wrong[] = {int8(a, c, 16), int8(a, narrow, 8), int8(short_a, c, 8), nf4(two)};
    for (OpCall& call : wrong) {
        CHECK(call.check() == CP_FAILED);
        CHECK(std::string(call.error().code) == "ERR_COMPACT_SHAPE");
    }
    Tensor two_scales({2});
    OpCall not_a_power("matmulInt8");
    not_a_power.input(a).input(codes).input(two_scales).output(c);
    not_a_power.attribute("groupSize", 12).attribute("transposeB", 0);
    CHECK(not_a_power.check() == CP_FAILED);
    CHECK(std::string(not_a_power.error().code) == "ERR_COMPACT_ARGUMENT");
}

}  // namespace compact::test
