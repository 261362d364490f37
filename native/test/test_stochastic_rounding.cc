// Stochastic rounding: its rule, its mean, and the numbers that the update of a weight draws.
#include <vector>

#include "native/base/stochastic_rounding.h"
#include "native/cpu/projection/projection.h"
#include "native/test/op_test.h"

namespace compact::test {

TEST(stochastic_rounding_carries_when_the_sum_overflows) {
    const float value = float_from_bits(0x3f804000);  // a quarter of the way from 1 to the next
    CHECK(bf16_stochastic(value, 0) == 0x3f80);
    CHECK(bf16_stochastic(value, 0xbfff) == 0x3f80);
    CHECK(bf16_stochastic(value, 0xc000) == 0x3f81);
    CHECK(bf16_stochastic(-value, 0xc000) == 0xbf81);  // up in magnitude
    CHECK(bf16_stochastic(1.0f, 0xffff) == 0x3f80);    // what bf16 holds stays
    CHECK(bf16_stochastic(float_from_bits(0x7f800001), 0) == kBf16Nan);
    CHECK(bf16_stochastic(float_from_bits(0xffffffff), 0xffff) == kBf16Nan);
    CHECK(bf16_stochastic(float_from_bits(0x7f800000), 0xffff) == 0x7f80);  // infinity
}

TEST(stochastic_rounding_is_right_on_average) {
    const float value = float_from_bits(0x3f805000);  // 5/16 of the way
    const RoundingKey key = {1, 2, 3};
    int64_t up = 0;
    const int64_t rows = 1000;
    for (int64_t row = 0; row < rows; ++row) {
        const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(row), 0);
        for (int half = 0; half < 8; ++half) {
            up += bf16_stochastic(value, philox_half(words, half)) == 0x3f81 ? 1 : 0;
        }
    }
    const double expected = 8.0 * rows * 5 / 16, deviation = std::sqrt(expected * 11 / 16);
    CHECK(std::fabs(static_cast<double>(up) - expected) < 4.0 * deviation);
}

TEST(rounding_blocks_are_the_words_of_their_counters) {
    const RoundingKey key = {77, 35, 12};
    const int64_t row0 = 1000, rows = 33, group0 = 7, groups = 5;
    for (InstructionSet set : instruction_sets()) {
        std::vector<uint16_t> found(static_cast<size_t>(rows * groups * 8));
        rounding_block(set, key, {row0, rows, group0, groups}, found.data());
        bool equal = true;
        for (int64_t i = 0; i < rows * groups * 8; ++i) {
            const int64_t row = row0 + i / (groups * 8), column = i % (groups * 8);
            const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(row),
                                                     static_cast<uint32_t>(group0 + column / 8));
            equal = equal && found[static_cast<size_t>(i)] ==
                                 philox_half(words, static_cast<int>(column % 8));
        }
        if (!CHECK(equal)) std::printf("      on %s\n", instruction_set_name(set));
    }
}

// With rank 1 and a direction of zeros the new weight is w (1 - learningRate * weightDecay)
// exactly, so the rounding can be followed bit by bit.
TEST(project_back_update_rounds_by_row_and_column) {
    const int64_t n = 45, m = 70;
    const RoundingKey key = {9, 35, 4};
    Numbers numbers(71);
    Tensor start = numbers.tensor({n, m}, CP_BF16), direction({1, m});
    const float factor = static_cast<float>(1.0 - 0.5 * 0.1);
    std::vector<double> expected;
    for (int64_t i = 0; i < n * m; ++i) {
        const int64_t row = i / m, column = i % m;
        const PhiloxWords words =
            rounding_words(key, static_cast<uint32_t>(row), static_cast<uint32_t>(column / 8));
        expected.push_back(
            bf16_to_float(bf16_stochastic(factor * static_cast<float>(start.get(i)),
                                          philox_half(words, static_cast<int>(column % 8)))));
    }
    for_every_device([&](CpDevice& device) {
        Tensor weight = start;
        OpCall call("projectBackUpdate");
        call.input(weight).input(direction).output(weight);
        call.attribute("seedLow", 1).attribute("seedHigh", 2).attribute("tensorId", key.tensor_id);
        call.attribute("epoch", 0).attribute("distribution", 0).attribute("learningRate", 0.5);
        call.attribute("updateScale", 1).attribute("weightDecay", 0.1);
        call.attribute("stochasticRounding", 1).attribute("roundingSeed", key.seed);
        call.attribute("step", key.step);
        CHECK(call.run(device) == CP_OK);
        CHECK(weight.values() == expected);
        return weight.contents();
    });
}

}  // namespace compact::test
