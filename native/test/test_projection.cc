// The random projection against published vectors and hashes, on every instruction set.
#include <algorithm>
#include <vector>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/cpu/projection/projection.h"
#include "native/test/op_test.h"
#include "native/test/sha256.h"

namespace compact::test {
namespace {

std::vector<uint16_t> block_of(InstructionSet set, const ProjectionKey& key,
                               const RandomBlock& block) {
    std::vector<uint16_t> out(static_cast<size_t>(block.rows * block.groups * 8) + 1, 0xdead);
    projection_block(set, key, block, out.data());
    CHECK(out.back() == 0xdead);
    out.pop_back();
    return out;
}

bool words_are(const PhiloxWords& words, std::vector<uint32_t> expected) {
    return std::equal(expected.begin(), expected.end(), words.word);
}

}  // namespace

TEST(philox_known_answers) {
    // Vectors of the authors of Philox.
    const uint32_t ones = 0xffffffff;
    CHECK(
        words_are(philox({{0, 0, 0, 0}}, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    CHECK(words_are(philox({{ones, ones, ones, ones}}, ones, ones),
                    {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    CHECK(words_are(
        philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0),
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(projection_table_has_the_published_hash) {
    for (InstructionSet set : instruction_sets()) {
        std::vector<uint16_t> table(65536);
        projection_table(set, table.data());
        CHECK(sha256(table.data(), table.size() * 2) ==
              "2dc8d954e8bb25ef0d322ff158c66645c4dd8d324a83e738dbe7cbafca98094f");
    }
}

TEST(projection_has_the_published_entries) {
    const ProjectionKey key = {1, 0, 0, 0, kGaussian};
    const std::vector<uint16_t> first = {0x3ffb, 0xbe8f, 0x3fca, 0xbe89, 0x3f8d, 0xbfaf,
                                         0xbf7a, 0xbf4d, 0x3fb5, 0xbf72, 0xbf06, 0xbea4,
                                         0x3d66, 0x3d7b, 0x3ea0, 0xbf81};
    const std::vector<uint16_t> second = {0xbd8f, 0xc00f, 0xbfae, 0x3f8e,
                                          0xbfea, 0x3f8c, 0x3f0b, 0x3fdb};
    const std::vector<uint16_t> last = {0xbfa6, 0xbf4a, 0x3fd7, 0x3f79,
                                        0x3fa0, 0xbed6, 0xbd0e, 0x3ee6};
    for (InstructionSet set : instruction_sets()) {
        CHECK(block_of(set, key, {0, 1, 0, 2}) == first);
        CHECK(block_of(set, key, {1, 1, 0, 1}) == second);
        CHECK(block_of(set, key, {4095, 1, 127, 1}) == last);
        const std::vector<uint16_t> matrix = block_of(set, key, {0, 4096, 0, 128});
        CHECK(sha256(matrix.data(), matrix.size() * 2) ==
              "9d9c69dfe4d8f817c3d8768916588379fb10f6b851f3fec43d829156a3926774");
    }
}

TEST(projection_blocks_of_any_shape_agree) {
    const ProjectionKey keys[] = {{0x12345678, 0x9abcdef0, 35, 7, kGaussian},
                                  {0xffffffff, 0xffffffff, 0x7fffffff, 0xffffffff, kRademacher},
                                  {3, 4, 5, 6, kIdentity}};
    for (const ProjectionKey& key : keys) {
        const std::vector<uint16_t> whole = block_of(InstructionSet::kScalar, key, {0, 90, 0, 40});
        for (InstructionSet set : instruction_sets()) {
            for (int64_t rows : {1, 2, 3, 17, 64}) {
                for (int64_t groups : {1, 2, 3, 4, 5, 7, 8, 9, 31}) {
                    const std::vector<uint16_t> part = block_of(set, key, {5, rows, 3, groups});
                    bool equal = true;
                    for (int64_t i = 0; i < rows; ++i) {
                        for (int64_t j = 0; j < 8 * groups; ++j) {
                            equal = equal && part[static_cast<size_t>(i * 8 * groups + j)] ==
                                                 whole[static_cast<size_t>((5 + i) * 320 + 24 + j)];
                        }
                    }
                    if (!CHECK(equal)) std::printf("      on %s\n", instruction_set_name(set));
                }
            }
        }
    }
}

TEST(rademacher_takes_the_signs_of_the_normal_numbers) {
    const std::vector<uint16_t> normal =
        block_of(InstructionSet::kScalar, {9, 8, 7, 6, kGaussian}, {0, 50, 0, 10});
    const std::vector<uint16_t> signs =
        block_of(InstructionSet::kScalar, {9, 8, 7, 6, kRademacher}, {0, 50, 0, 10});
    bool equal = true;
    for (size_t i = 0; i < normal.size(); ++i) {
        equal = equal && signs[i] == ((normal[i] & 0x8000) | 0x3f80);
    }
    CHECK(equal);
}

TEST(identity_has_ones_on_the_diagonal) {
    const std::vector<uint16_t> block =
        block_of(InstructionSet::kScalar, {1, 2, 3, 4, kIdentity}, {10, 20, 1, 2});
    for (int64_t i = 0; i < 20; ++i) {
        for (int64_t j = 0; j < 16; ++j) {
            const uint16_t expected = 10 + i == 8 + j ? 0x3f80 : 0;
            CHECK(block[static_cast<size_t>(i * 16 + j)] == expected);
        }
    }
}

TEST(normal_floats_follow_their_counters) {
    // Also across the carry from the low to the high word of the counter.
    for (int64_t group0 : {int64_t{0}, int64_t{77}, (int64_t{1} << 32) - 3}) {
        const int64_t groups = 150;
        for (InstructionSet set : instruction_sets()) {
            std::vector<float> values(static_cast<size_t>(8 * groups));
            normal_floats(set, {11, 12, 13}, group0, groups, values.data());
            bool equal = true;
            for (int64_t i = 0; i < 8 * groups; ++i) {
                const int64_t group = group0 + i / 8;
                const PhiloxWords words =
                    philox({{static_cast<uint32_t>(group & 0xffffffff),
                             static_cast<uint32_t>(group >> 32), 13, 0xffffffff}},
                           11, 12);
                const uint16_t bits = philox_half(words, static_cast<int>(i % 8));
                equal =
                    equal && values[static_cast<size_t>(i)] == normal_from_bits(bits, kNormalTable);
            }
            if (!CHECK(equal)) std::printf("      on %s\n", instruction_set_name(set));
        }
    }
}

}  // namespace compact::test
