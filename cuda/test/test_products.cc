// Products: shapes around the tiles of 128 x 128 x 32, ragged rows, splits of the inner dimension,
// P.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

struct Product {
    int64_t m, n, k;
};

// The last one is long enough to be split.
const Product kProducts[] = {{1, 1, 1},      {16, 8, 16},  {130, 5, 33},
                             {128, 128, 32}, {7, 131, 70}, {65, 64, 1100}};

// Sums of k products in another order, relative to the largest sum.
double tolerance(int64_t k) { return 2e-6 + 2e-8 * static_cast<double>(k); }

Comparison& projection(Comparison& call, int distribution) {
    return call.attribute("seedLow", 21)
        .attribute("seedHigh", 22)
        .attribute("tensorId", 35)
        .attribute("distribution", distribution);
}

}  // namespace

TEST(cuda_matmul) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [m, n, k] : kProducts) {
            for (int transposed = 0; transposed < 4; ++transposed) {
                const int transpose_a = transposed & 1, transpose_b = transposed >> 1;
                Numbers numbers(static_cast<uint64_t>(m + n + k));
                Tensor a =
                    numbers.tensor(transpose_a ? std::vector{k, m} : std::vector{m, k}, dtype);
                Tensor b =
                    numbers.tensor(transpose_b ? std::vector{n, k} : std::vector{k, n}, dtype);
                for (int32_t c_dtype : kDtypes) {
                    Tensor before = numbers.tensor({m, n}, c_dtype);
                    Comparison plain("matmul"), added("matmul");
                    plain.input(a)
                        .input(b)
                        .absent()
                        .output({m, n}, c_dtype)
                        .attribute("accumulate", 0);
                    added.input(a).input(b).input(before).output_on(2).attribute("accumulate", 1);
                    for (Comparison* call : {&plain, &added}) {
                        CHECK(call->attribute("transposeA", transpose_a)
                                  .attribute("transposeB", transpose_b)
                                  .attribute("alpha", 0.5)
                                  .agrees(tolerance(k)));
                    }
                }
            }
        }
    }
}

TEST(cuda_project) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [tokens, rank, in_features] :
             {Product{1, 1, 1}, {33, 20, 50}, {130, 136, 70}}) {
            for (int distribution : {0, 1, 2}) {
                Tensor x = Numbers(5).tensor({tokens, in_features}, dtype);
                Comparison call("project");
                call.input(x).output({tokens, rank}, dtype).attribute("epoch", 3);
                CHECK(projection(call, distribution).agrees(tolerance(in_features)));
            }
        }
    }
}

TEST(cuda_project_in_panels) {
    // 2^17 rows allow a panel of 128 columns.
    const int64_t in_features = 1 << 17;
    Tensor x({1, in_features}, CP_F32);
    for (int64_t i = 0; i < in_features; i += 499) x.set(i, 1.0 + static_cast<double>(i % 7));
    Comparison call("project");
    call.input(x).output({1, 130}).attribute("epoch", 3);
    CHECK(projection(call, 0).agrees(1e-5));
}

TEST(cuda_project_back_update) {
    for (int32_t weight_dtype : kDtypes) {
        for (int32_t direction_dtype : kDtypes) {
            for (const auto& [in_features, out_features, rank] :
                 {Product{1, 1, 1}, {33, 20, 50}, {130, 137, 24}}) {
                for (int rounding : {0, 1}) {
                    Numbers numbers(static_cast<uint64_t>(rank));
                    Tensor weight = numbers.tensor({in_features, out_features}, weight_dtype);
                    Tensor direction = numbers.tensor({rank, out_features}, direction_dtype);
                    Comparison call("projectBackUpdate");
                    call.input(weight)
                        .input(direction)
                        .output_on(0)
                        .attribute("epoch", 1)
                        .attribute("learningRate", 0.01)
                        .attribute("updateScale", 0.25)
                        .attribute("weightDecay", 0.1)
                        .attribute("stochasticRounding", rounding)
                        .attribute("roundingSeed", 77)
                        .attribute("step", 5);
                    CHECK(projection(call, rounding).agrees(tolerance(rank)));
                }
            }
        }
    }
}

// With P = I and few terms the sums are exact, so decay, update and rounding must agree to the bit.
TEST(cuda_weight_update_rounds_as_the_cpu_does) {
    const int64_t features = 70, columns = 53;
    Numbers numbers(8);
    Tensor direction = numbers.tensor({features, columns}, CP_BF16);
    for (int32_t weight_dtype : kDtypes) {
        Tensor weight = numbers.tensor({features, columns}, weight_dtype);
        for (int rounding : {0, 1}) {
            Comparison call("projectBackUpdate");
            call.input(weight)
                .input(direction)
                .output_on(0)
                .attribute("epoch", 0)
                .attribute("learningRate", 0.0123)
                .attribute("updateScale", 0.25)
                .attribute("weightDecay", 0.1)
                .attribute("stochasticRounding", rounding)
                .attribute("roundingSeed", 123)
                .attribute("step", 9);
            CHECK(projection(call, 2).agrees(0));
        }
    }
}

// Rows of the second panel are rounded with the numbers of their place in the whole weight.
TEST(cuda_weight_update_in_panels) {
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
    CHECK(projection(call, 1).agrees(1e-6));
}

TEST(cuda_project_transfer) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [rank, columns, rows] : {Product{1, 1, 1}, {24, 33, 50}, {20, 9, 700}}) {
            for (int distribution : {0, 1, 2}) {
                Tensor moment = Numbers(10).tensor({rank, columns}, dtype);
                Comparison call("projectTransfer");
                call.input(moment)
                    .output_on(0)
                    .attribute("rows", static_cast<double>(rows))
                    .attribute("oldEpoch", 0)
                    .attribute("newEpoch", 1);
                CHECK(projection(call, distribution).agrees(1e-5));
            }
        }
    }
}

}  // namespace compact::test
