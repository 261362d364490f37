// Products: shapes around the tiles of 128 x 128 x 32, ragged rows, splits of the inner dimension,
// P. Operands are small integers wherever that makes every sum exact: then the bits are the CPU's,
// and so are the random numbers of stochastic rounding.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

struct Product {
    int64_t m, n, k;
};

// The last one is long enough to be split in two.
const std::vector<Product> kProducts = {{1, 1, 1},      {16, 8, 16},  {130, 5, 33},
                                        {128, 128, 32}, {7, 131, 70}, {65, 64, 1100}};

// Sums of k products in another order, relative to the largest sum.
double tolerance(int64_t k) { return 2e-6 + 2e-8 * static_cast<double>(k); }

// One power of two in each row, or in each column: every sum has one term.
Tensor one_term(int64_t rows, int64_t columns, int32_t dtype, bool by_row) {
    Tensor result({rows, columns}, dtype);
    for (int64_t i = 0; i < (by_row ? rows : columns); ++i) {
        const int64_t j = i * 37 % (by_row ? columns : rows);
        result.set(by_row ? i * columns + j : j * columns + i,
                   std::ldexp(i % 2 == 0 ? 1.0 : -1.0, static_cast<int>(i % 5)));
    }
    return result;
}

Comparison& projection(Comparison& call, int distribution) {
    return call.attribute("seedLow", 21)
        .attribute("seedHigh", 22)
        .attribute("tensorId", 35)
        .attribute("distribution", distribution);
}

}  // namespace

TEST(cuda_matmul) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [m, n, k] : sizes(kProducts, {4})) {
            for (int transposed = 0; transposed < 4; ++transposed) {
                const int transpose_a = transposed & 1, transpose_b = transposed >> 1;
                Numbers numbers(static_cast<uint64_t>(m + n + k));
                Tensor a =
                    numbers.integers(transpose_a ? std::vector{k, m} : std::vector{m, k}, dtype);
                Tensor b =
                    numbers.integers(transpose_b ? std::vector{n, k} : std::vector{k, n}, dtype);
                for (int32_t c_dtype : kDtypes) {
                    Tensor before = numbers.integers({m, n}, c_dtype);
                    Comparison plain("matmul"), added("matmul"), over("matmul");
                    plain.input(a).input(b).absent().output({m, n}, c_dtype);
                    added.input(a).input(b).input(before).output_on(2);
                    over.input(a).input(b).input(before).output_on(2);
                    for (Comparison* call : {&plain, &added, &over}) {
                        CHECK(call->attribute("transposeA", transpose_a)
                                  .attribute("transposeB", transpose_b)
                                  .attribute("alpha", 0.5)
                                  .attribute("accumulate", call == &added)
                                  .agrees(0));
                    }
                }
            }
        }
    }
}

// Numbers with all their bits, where integers would not show what an operand has lost.
TEST(cuda_matmul_of_normal_numbers) {
    const int64_t m = 33, n = 40, k = 200;
    for (int32_t dtype : kDtypes) {
        Numbers numbers(4);
        Tensor a = numbers.tensor({m, k}, dtype), b = numbers.tensor({k, n}, dtype);
        Comparison call("matmul");
        call.input(a).input(b).absent().output({m, n}).attribute("transposeA", 0);
        call.attribute("transposeB", 0).attribute("alpha", 1.0 / 3.0).attribute("accumulate", 0);
        CHECK(call.agrees(tolerance(k)));
    }
}

// More rows of tiles than stand in a band.
TEST(cuda_matmul_in_bands_of_tiles) {
    const int64_t m = 2100, n = 260, k = 8;
    for (int32_t dtype : kDtypes) {
        Numbers numbers(7);
        Tensor a = numbers.integers({m, k}, dtype), b = numbers.integers({k, n}, dtype);
        Comparison call("matmul");
        call.input(a).input(b).absent().output({m, n}, dtype).attribute("transposeA", 0);
        call.attribute("transposeB", 0).attribute("alpha", 1).attribute("accumulate", 0);
        CHECK(call.agrees(0));
    }
}

// Many parts of the inner dimension, added in order.
TEST(cuda_matmul_split_many_times) {
    const int64_t m = 9, n = 11, k = 512 * 7 + 40;
    for (int32_t dtype : kDtypes) {
        Numbers numbers(6);
        Tensor a = numbers.integers({k, m}, dtype), b = numbers.integers({k, n}, dtype);
        Tensor before = numbers.integers({m, n}, CP_F32);
        Comparison call("matmul");
        call.input(a).input(b).input(before).output_on(2).attribute("transposeA", 1);
        call.attribute("transposeB", 0).attribute("alpha", 0.25).attribute("accumulate", 1);
        CHECK(call.agrees(0));
    }
}

// Squares of sums of integers, beside other sums that must stay. The sums are of many shapes:
// ragged tiles, aligned rows and others, an inner dimension in parts.
TEST(cuda_matmul_sums_squares) {
    std::vector<Product> shapes = kProducts;
    shapes.push_back({136, 264, 40});
    for (int32_t dtype : kDtypes) {
        for (const auto& [m, n, k] : sizes(shapes, {2, 5})) {
            for (int32_t c_dtype : kDtypes) {
                for (const bool accumulate : {false, true}) {
                    Numbers numbers(static_cast<uint64_t>(m + n + k));
                    Tensor a = numbers.integers({k, m}, dtype), b = numbers.integers({k, n}, dtype);
                    Tensor before = numbers.tensor({m, n}, c_dtype, 10.0);
                    Tensor squares({3}, CP_F32, {7.0, -1.0, 9.0});
                    Comparison call("matmul");
                    call.input(a).input(b).input(before).input(squares).output_on(2).output_on(3);
                    call.attribute("transposeA", 1).attribute("transposeB", 0);
                    call.attribute("alpha", 0.375).attribute("accumulate", accumulate);
                    CHECK(call.attribute("squaresIndex", 1).agrees(2e-7));
                }
            }
        }
    }
}

TEST(cuda_project) {
    const std::vector<Product> shapes = {{1, 1, 1}, {33, 20, 50}, {130, 136, 70}};
    for (int32_t dtype : kDtypes) {
        for (const auto& [tokens, rank, in_features] : sizes(shapes, {1})) {
            for (int distribution : {0, 1, 2}) {
                Numbers numbers(5);
                Tensor x = distribution == 0 ? one_term(tokens, in_features, dtype, true)
                                             : numbers.integers({tokens, in_features}, dtype);
                Comparison call("project");
                call.input(x).output({tokens, rank}, dtype).attribute("epoch", 3);
                CHECK(projection(call, distribution).agrees(0));
            }
            Tensor x = Numbers(6).tensor({tokens, in_features}, dtype);
            Comparison call("project");
            call.input(x).output({tokens, rank}, dtype).attribute("epoch", 3);
            CHECK(projection(call, 0).agrees(tolerance(in_features)));
        }
    }
}

TEST(cuda_project_in_panels) {
    // 2^17 rows allow a panel of 128 columns.
    if (is_reduced()) return skip("the panels alone take a minute");
    const int64_t in_features = 1 << 17;
    Tensor x({1, in_features}, CP_F32);
    for (int64_t i = 0; i < in_features; i += 499) x.set(i, 1.0 + static_cast<double>(i % 7));
    Comparison call("project");
    call.input(x).output({1, 130}).attribute("epoch", 3);
    CHECK(projection(call, 1).agrees(0));
}

TEST(cuda_project_back_update) {
    const std::vector<Product> shapes = {{1, 1, 1}, {33, 20, 50}, {130, 137, 24}};
    for (int32_t weight_dtype : kDtypes) {
        for (int32_t direction_dtype : kDtypes) {
            for (const auto& [in_features, out_features, rank] : sizes(shapes, {1})) {
                for (int distribution : {0, 1, 2}) {
                    for (int rounding : {0, 1}) {
                        Numbers numbers(static_cast<uint64_t>(rank));
                        Tensor weight = numbers.tensor({in_features, out_features}, weight_dtype);
                        Tensor direction =
                            distribution == 0
                                ? one_term(rank, out_features, direction_dtype, false)
                                : numbers.integers({rank, out_features}, direction_dtype);
                        Comparison call("projectBackUpdate");
                        call.input(weight)
                            .input(direction)
                            .output_on(0)
                            .attribute("epoch", 1)
                            .attribute("learningRate", 0.0123)
                            .attribute("updateScale", 0.25)
                            .attribute("weightDecay", 0.1)
                            .attribute("stochasticRounding", rounding)
                            .attribute("roundingSeed", 77)
                            .attribute("step", 5);
                        CHECK(projection(call, distribution).agrees(0));
                    }
                }
            }
        }
    }
}

// More rows than P direction exists for at a time; groups lie across rows.
TEST(cuda_project_back_update_int8) {
    constexpr int64_t kGroup = 64;
    const std::vector<Product> shapes = {{1, 1, 1}, {33, 20, 50}, {600, 41, 24}};
    for (int32_t dtype : kDtypes) {
        for (const auto& [in_features, out_features, rank] : sizes(shapes, {1, 2})) {
            for (int distribution : {0, 1, 2}) {
                Numbers numbers(static_cast<uint64_t>(rank));
                Tensor codes({in_features, out_features}, CP_I8);
                Tensor scales({(codes.size() + kGroup - 1) / kGroup});
                for (int64_t i = 0; i < codes.size(); ++i) {
                    codes.set(i, std::floor(numbers.uniform() * 255) - 127);
                }
                for (int64_t i = 0; i < scales.size(); ++i) scales.set(i, 0.01);
                Tensor direction = distribution == 0
                                       ? one_term(rank, out_features, dtype, false)
                                       : numbers.integers({rank, out_features}, dtype);
                Comparison call("projectBackUpdateInt8");
                call.input(codes).input(scales).input(direction).output_on(0).output_on(1);
                call.attribute("groupSize", kGroup).attribute("epoch", 1);
                call.attribute("learningRate", 0.0123).attribute("updateScale", 0.25);
                call.attribute("weightDecay", 0.1).attribute("roundingSeed", 77);
                CHECK(projection(call.attribute("step", 5), distribution).agrees(0));
            }
        }
    }
}

// Rows of the second panel are rounded with the numbers of their place in the whole weight.
TEST(cuda_weight_update_in_panels) {
    if (is_reduced()) return skip("the panels alone take a minute");
    const int64_t in_features = 300, rank = 65536;  // a panel has 256 rows
    Tensor weight = Numbers(9).tensor({in_features, 3}, CP_BF16), direction({rank, 3}, CP_F32);
    for (int64_t i = 0; i < rank; i += 613) {
        for (int64_t j = 0; j < 3; ++j) direction.set(i * 3 + j, static_cast<double>(j + 1));
    }
    Comparison call("projectBackUpdate");
    call.input(weight)
        .input(direction)
        .output_on(0)
        .attribute("epoch", 2)
        .attribute("learningRate", 0.5)
        .attribute("updateScale", 1)
        .attribute("weightDecay", 0)
        .attribute("stochasticRounding", 1)
        .attribute("roundingSeed", 4)
        .attribute("step", 2);
    CHECK(projection(call, 1).agrees(0));
}

TEST(cuda_project_transfer) {
    // Ranks 4^i, whose factors are powers of two, keep the sums of integers exact.
    const std::vector<Product> exact = {{1, 1, 1}, {16, 33, 50}, {64, 9, 700}};
    const std::vector<Product> other = {{24, 33, 50}, {20, 9, 700}};
    for (int32_t dtype : kDtypes) {
        for (const auto& [rank, columns, rows] : sizes(exact, {1, 2})) {
            for (int distribution : {1, 2}) {
                Numbers numbers(10);
                Tensor moment = numbers.integers({rank, columns}, dtype);
                Comparison call("projectTransfer");
                call.input(moment).output_on(0).attribute("rows", static_cast<double>(rows));
                call.attribute("oldEpoch", 0).attribute("newEpoch", 1);
                CHECK(projection(call, distribution).agrees(0));
            }
        }
        for (const auto& [rank, columns, rows] : sizes(other, {0})) {
            Tensor moment = Numbers(10).tensor({rank, columns}, dtype);
            Comparison call("projectTransfer");
            call.input(moment).output_on(0).attribute("rows", static_cast<double>(rows));
            call.attribute("oldEpoch", 0).attribute("newEpoch", 1);
            CHECK(projection(call, 0).agrees(1e-5));
        }
    }
}

}  // namespace compact::test
