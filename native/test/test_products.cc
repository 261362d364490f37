// Ops that multiply, against the same formulas in fp64 over matrices of P made one entry at a time.
#include <array>
#include <vector>

#include "native/base/normal.h"
#include "native/base/philox.h"
#include "native/test/op_test.h"

namespace compact::test {
namespace {

constexpr uint32_t kSeedLow = 21, kSeedHigh = 22, kTensor = 35;

// P (rows, rank), entry by entry.
std::vector<double> projection(int64_t rows, int64_t rank, uint32_t epoch, int distribution) {
    std::vector<double> result;
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < rank; ++j) {
            const PhiloxWords words =
                philox({{static_cast<uint32_t>(j / 8), static_cast<uint32_t>(i), kTensor, epoch}},
                       kSeedLow, kSeedHigh);
            const uint16_t bits = philox_half(words, static_cast<int>(j % 8));
            const double scale = 1.0 / std::sqrt(static_cast<double>(rank));
            const double normal =
                bf16_to_float(bf16_from_float(normal_from_bits(bits, kNormalTable)));
            result.push_back(distribution == 0   ? scale * normal
                             : distribution == 1 ? ((bits & 0x8000) != 0 ? -scale : scale)
                                                 : (i == j ? 1.0 : 0.0));
        }
    }
    return result;
}

// (m, k) (k, n)
std::vector<double> times(const std::vector<double>& a, const std::vector<double>& b, int64_t m,
                          int64_t k, int64_t n) {
    std::vector<double> c(static_cast<size_t>(m * n));
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t p = 0; p < k; ++p) {
            for (int64_t j = 0; j < n; ++j) {
                c[static_cast<size_t>(i * n + j)] +=
                    a[static_cast<size_t>(i * k + p)] * b[static_cast<size_t>(p * n + j)];
            }
        }
    }
    return c;
}

std::vector<double> transposed(const std::vector<double>& a, int64_t rows, int64_t columns) {
    std::vector<double> result(a.size());
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
            result[static_cast<size_t>(j * rows + i)] = a[static_cast<size_t>(i * columns + j)];
        }
    }
    return result;
}

OpCall& projection_attributes(OpCall& call, int distribution) {
    return call.attribute("seedLow", kSeedLow)
        .attribute("seedHigh", kSeedHigh)
        .attribute("tensorId", kTensor)
        .attribute("distribution", distribution);
}

// Sums of about a hundred products, each rounded in fp32.
constexpr double kTolerance = 4e-6;

}  // namespace

TEST(matmul_with_transposes_and_accumulator) {
    const int64_t m = 33, n = 41, k = 123;
    for (int variant = 0; variant < 16; ++variant) {
        const int32_t dtype = (variant & 1) != 0 ? CP_BF16 : CP_F32;
        const bool transpose_a = (variant & 2) != 0, transpose_b = (variant & 4) != 0;
        const bool accumulate = (variant & 8) != 0;
        Numbers numbers(61);
        Tensor a = numbers.tensor(transpose_a ? std::vector{k, m} : std::vector{m, k}, dtype);
        Tensor b = numbers.tensor(transpose_b ? std::vector{n, k} : std::vector{k, n}, dtype);
        Tensor old = numbers.tensor({m, n});
        std::vector<double> expected =
            times(transpose_a ? transposed(a.values(), k, m) : a.values(),
                  transpose_b ? transposed(b.values(), n, k) : b.values(), m, k, n);
        for (int64_t i = 0; i < m * n; ++i) {
            double& value = expected[static_cast<size_t>(i)];
            value = 0.5 * value + (accumulate ? old.get(i) : 0.0);
        }
        for_every_device([&](CpDevice& device) {
            Tensor c = old;
            OpCall call("matmul");
            call.input(a).input(b).input(c).output(c).attribute("transposeA", transpose_a);
            call.attribute("transposeB", transpose_b).attribute("alpha", 0.5);
            call.attribute("accumulate", accumulate);
            CHECK(call.run(device) == CP_OK);
            CHECK(close(c, expected, kTolerance));
            return c.contents();
        });
    }
}

// Ragged tiles, several blocks and several slices of the inner dimension; tiles that are summed up
// in c itself (no accumulator, alpha 1) and such that are stored from elsewhere.
TEST(matmul_sums_the_squares_of_what_it_stores) {
    const std::vector<std::array<int64_t, 3>> shapes = {
        {1, 1, 1}, {33, 41, 123}, {9, 33, 4099}, {70, 600, 1100}};
    for (const auto& [m, n, k] : sizes(shapes, {0, 1, 2})) {
        for (int variant = 0; variant < 16; ++variant) {
            const int32_t dtype = (variant & 1) != 0 ? CP_BF16 : CP_F32;
            const int32_t c_dtype = (variant & 2) != 0 ? CP_BF16 : CP_F32;
            const bool accumulate = (variant & 4) != 0;
            const double alpha = (variant & 8) != 0 ? 0.5 : 1.0;
            Numbers numbers(63);
            Tensor a = numbers.tensor({k, m}, dtype), b = numbers.tensor({k, n}, dtype);
            Tensor old = numbers.tensor({m, n}, c_dtype);
            for_every_device([&, m = m, n = n](CpDevice& device) {
                Tensor c = old, squares({3}, CP_F32, {7.0, -1.0, 9.0});
                OpCall call("matmul");
                call.input(a).input(b).input(c).input(squares).output(c).output(squares);
                call.attribute("transposeA", 1).attribute("transposeB", 0);
                call.attribute("alpha", alpha).attribute("accumulate", accumulate);
                CHECK(call.attribute("squaresIndex", 1).run(device) == CP_OK);
                double expected = 0.0;
                for (int64_t i = 0; i < m * n; ++i) expected += c.get(i) * c.get(i);
                CHECK(std::fabs(squares.get(1) - expected) <= 0x1p-23 * expected);
                CHECK(squares.get(0) == 7.0 && squares.get(2) == 9.0);
                return c.contents() + squares.contents();
            });
        }
    }
}

TEST(matmul_refuses_a_place_for_squares_that_is_not_there) {
    Tensor a({3, 4}), b({4, 6}), c({3, 6}), squares({2});
    const auto call = [&](double index, int32_t slot = -1) {
        OpCall matmul("matmul");
        matmul.input(a).input(b).absent().input(squares).output(c).output(squares);
        matmul.attribute("transposeA", 0).attribute("transposeB", 0).attribute("alpha", 1);
        matmul.attribute("accumulate", 0).attribute("squaresIndex", index, slot);
        return matmul;
    };
    OpCall beyond = call(2);
    CHECK(beyond.check() == CP_FAILED);
    CHECK(std::strcmp(beyond.error().code, "ERR_COMPACT_INDEX") == 0);
    CHECK(call(-1).check() == CP_FAILED);
    CHECK(call(0, 0).check() == CP_FAILED);
    CHECK(call(1).check() == CP_OK);
}

TEST(matmul_refuses_shapes_that_do_not_fit) {
    Tensor a({3, 4}), b({5, 6}), c({3, 6}), fitting({4, 6}), wrong({6, 3});
    const auto call = [](Tensor& left, Tensor& right, Tensor& result, int32_t slot = -1) {
        OpCall matmul("matmul");
        matmul.input(left).input(right).absent().output(result);
        matmul.attribute("transposeA", 0, slot).attribute("transposeB", 0);
        matmul.attribute("alpha", 1).attribute("accumulate", 0);
        return matmul;
    };
    OpCall inner = call(a, b, c);
    CHECK(inner.check() == CP_FAILED);
    CHECK(std::strcmp(inner.error().code, "ERR_COMPACT_SHAPE") == 0);
    CHECK(call(a, fitting, wrong).check() == CP_FAILED);
    OpCall runtime = call(a, fitting, c, 0);
    CHECK(runtime.check() == CP_FAILED);
    CHECK(std::strcmp(runtime.error().code, "ERR_COMPACT_ARGUMENT") == 0);
    CHECK(call(a, fitting, c).check() == CP_OK);
}

TEST(project_multiplies_by_p) {
    for (int distribution : {0, 1, 2}) {
        for (int32_t dtype : kDtypes) {
            for (int64_t rank : {1, 8, 41, 96}) {
                const int64_t tokens = 33, width = 96;
                Numbers numbers(62);
                Tensor x = numbers.tensor({tokens, width}, dtype);
                const std::vector<double> expected = times(
                    x.values(), projection(width, rank, 3, distribution), tokens, width, rank);
                for_every_device([&](CpDevice& device) {
                    Tensor z({tokens, rank}, dtype);
                    OpCall call("project");
                    projection_attributes(call.input(x).output(z), distribution);
                    call.attribute("epoch", 3);
                    CHECK(call.run(device) == CP_OK);
                    CHECK(close(z, expected, kTolerance));
                    return z.contents();
                });
            }
        }
    }
}

TEST(project_with_the_identity_copies) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(63);
        Tensor x = numbers.tensor({17, 50}, dtype);
        for_every_device([&](CpDevice& device) {
            Tensor z({17, 50}, dtype);
            OpCall call("project");
            projection_attributes(call.input(x).output(z), 2).attribute("epoch", 0);
            CHECK(call.run(device) == CP_OK);
            CHECK(z.contents() == x.contents());
            return z.contents();
        });
    }
}

TEST(project_back_update_moves_the_weight) {
    const int64_t n = 70, m = 45, rank = 24;
    const double learning_rate = 0.02, update_scale = 0.25, decay = 0.1;
    for (int32_t weight_dtype : kDtypes) {
        for (int32_t direction_dtype : kDtypes) {
            Numbers numbers(64);
            Tensor start = numbers.tensor({n, m}, weight_dtype);
            Tensor direction = numbers.tensor({rank, m}, direction_dtype);
            std::vector<double> expected =
                times(projection(n, rank, 5, 0), direction.values(), n, rank, m);
            for (int64_t i = 0; i < n * m; ++i) {
                double& value = expected[static_cast<size_t>(i)];
                value = start.get(i) * (1 - learning_rate * decay) -
                        learning_rate * update_scale * value;
            }
            for_every_device([&](CpDevice& device) {
                Tensor weight = start;
                OpCall call("projectBackUpdate");
                call.input(weight).input(direction).output(weight);
                projection_attributes(call, 0).attribute("epoch", 5);
                call.attribute("learningRate", learning_rate);
                call.attribute("updateScale", update_scale).attribute("weightDecay", decay);
                call.attribute("stochasticRounding", 0).attribute("roundingSeed", 0);
                call.attribute("step", 1);
                CHECK(call.run(device) == CP_OK);
                CHECK(close(weight, expected, kTolerance));
                return weight.contents();
            });
        }
    }
}

TEST(project_transfer_changes_the_basis) {
    const int64_t rows = 1100, rank = 20, columns = 33;  // more rows than one block holds
    for (int32_t dtype : kDtypes) {
        Numbers numbers(65);
        Tensor start = numbers.tensor({rank, columns}, dtype);
        const std::vector<double> full =
            times(projection(rows, rank, 1, 0), start.values(), rows, rank, columns);
        const std::vector<double> expected =
            times(transposed(projection(rows, rank, 2, 0), rows, rank), full, rank, rows, columns);
        for_every_device([&](CpDevice& device) {
            Tensor moment = start;
            OpCall call("projectTransfer");
            projection_attributes(call.input(moment).output(moment), 0).attribute("rows", rows);
            call.attribute("oldEpoch", 1).attribute("newEpoch", 2);
            CHECK(call.run(device) == CP_OK);
            CHECK(close(moment, expected, kTolerance));
            return moment.contents();
        });
    }
}

TEST(random_normal_is_the_stream_of_its_seed) {
    for (int64_t size : {1, 7, 8, 513, 70001}) {
        for (int32_t dtype : kDtypes) {
            std::vector<double> expected;
            for (int64_t i = 0; i < size; ++i) {
                const PhiloxWords words = philox(
                    {{static_cast<uint32_t>(i / 8), 0, kTensor, 0xffffffff}}, kSeedLow, kSeedHigh);
                const float normal =
                    normal_from_bits(philox_half(words, static_cast<int>(i % 8)), kNormalTable);
                expected.push_back(0.02f * normal);
            }
            for_every_device([&](CpDevice& device) {
                Tensor y({size}, dtype);
                OpCall call("randomNormal");
                call.output(y).attribute("seedLow", kSeedLow).attribute("seedHigh", kSeedHigh);
                call.attribute("tensorId", kTensor).attribute("standardDeviation", 0.02);
                CHECK(call.run(device) == CP_OK);
                CHECK(Tensor({size}, dtype, expected).contents() == y.contents());
                return y.contents();
            });
        }
    }
}

}  // namespace compact::test
