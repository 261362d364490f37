// Optimizers: the bits of the CPU, for every mixture of dtypes.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

// (rows, columns) of weights: whole groups of eight columns, and others.
const std::vector<int64_t> kWeights[] = {{1}, {13}, {2500}, {5, 8}, {40, 136}, {33, 61}, {3, 5, 7}};

int64_t elements(const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count;
}

Tensor squares(Numbers& numbers, std::vector<int64_t> shape, int32_t dtype) {
    Tensor result(std::move(shape), dtype);
    for (int64_t i = 0; i < result.size(); ++i) result.set(i, numbers.uniform() * 1e-3);
    return result;
}

}  // namespace

TEST(cuda_adam_direction) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 8; ++mixture) {
            const int32_t gradient_dtype = kDtypes[mixture & 1],
                          state_dtype = kDtypes[mixture >> 1 & 1];
            const int32_t direction_dtype = kDtypes[mixture >> 2];
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor gradient = numbers.tensor(shape, gradient_dtype, 0.03);
            Tensor m = numbers.tensor(shape, state_dtype, 0.03),
                   v = squares(numbers, shape, state_dtype);
            Tensor scale({1}, CP_F32, {0.37});
            for (bool scaled : {false, true}) {
                Comparison call("adamDirection");
                call.input(gradient).input(m).input(v);
                scaled ? call.input(scale) : call.absent();
                if (gradient_dtype == direction_dtype && scaled) {
                    call.output_on(0);
                } else {
                    call.output(shape, direction_dtype);
                }
                CHECK(call.output_on(1)
                          .output_on(2)
                          .attribute("beta1", 0.9)
                          .attribute("beta2", 0.999)
                          .attribute("epsilon", 0.01)
                          .attribute("firstMomentStep", 3)
                          .attribute("secondMomentStep", 7)
                          .agrees(0));
            }
        }
    }
}

TEST(cuda_adam_w) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 16; ++mixture) {
            const int32_t weight_dtype = kDtypes[mixture & 1],
                          gradient_dtype = kDtypes[mixture >> 1 & 1];
            const int32_t state_dtype = kDtypes[mixture >> 2 & 1];
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor weight = numbers.tensor(shape, weight_dtype);
            Tensor gradient = numbers.tensor(shape, gradient_dtype, 0.03);
            Tensor m = numbers.tensor(shape, state_dtype, 0.03),
                   v = squares(numbers, shape, state_dtype);
            Tensor scale({1}, CP_F32, {0.37});
            CHECK(Comparison("adamW")
                      .input(weight)
                      .input(gradient)
                      .input(m)
                      .input(v)
                      .input(scale)
                      .output_on(0)
                      .output_on(2)
                      .output_on(3)
                      .attribute("learningRate", 0.003)
                      .attribute("updateScale", 0.5)
                      .attribute("beta1", 0.9)
                      .attribute("beta2", 0.95)
                      .attribute("epsilon", 0.01)
                      .attribute("weightDecay", 0.1)
                      .attribute("step", 4)
                      .attribute("stochasticRounding", mixture >> 3)
                      .attribute("roundingSeed", 5)
                      .attribute("tensorId", 17)
                      .agrees(0));
        }
    }
}

TEST(cuda_sgd) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 16; ++mixture) {
            const int32_t weight_dtype = kDtypes[mixture & 1],
                          gradient_dtype = kDtypes[mixture >> 1 & 1];
            const int32_t state_dtype = kDtypes[mixture >> 2 & 1];
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor weight = numbers.tensor(shape, weight_dtype);
            Tensor gradient = numbers.tensor(shape, gradient_dtype, 0.03);
            Tensor momentum = numbers.tensor(shape, state_dtype, 0.03);
            Comparison with_momentum("sgd"), without("sgd");
            with_momentum.input(weight).input(gradient).input(momentum).absent();
            with_momentum.output_on(0).output_on(2);
            without.input(weight).input(gradient).absent().absent().output_on(0);
            for (Comparison* call : {&with_momentum, &without}) {
                CHECK(call->attribute("learningRate", 0.003)
                          .attribute("updateScale", 0.5)
                          .attribute("momentumFactor", 0.9)
                          .attribute("nesterov", 1)
                          .attribute("weightDecay", 0.1)
                          .attribute("step", 4)
                          .attribute("stochasticRounding", mixture >> 3)
                          .attribute("roundingSeed", 5)
                          .attribute("tensorId", 17)
                          .agrees(0));
            }
        }
    }
}

TEST(cuda_weight_update) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 8; ++mixture) {
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor weight = numbers.tensor(shape, kDtypes[mixture & 1]);
            Tensor direction = numbers.tensor(shape, kDtypes[mixture >> 1 & 1], 0.03);
            CHECK(Comparison("weightUpdate")
                      .input(weight)
                      .input(direction)
                      .absent()
                      .output_on(0)
                      .attribute("learningRate", 0.003)
                      .attribute("updateScale", 0.25)
                      .attribute("weightDecay", 0.1)
                      .attribute("step", 4)
                      .attribute("stochasticRounding", mixture >> 2)
                      .attribute("roundingSeed", 5)
                      .attribute("tensorId", 17)
                      .agrees(0));
        }
    }
}

TEST(cuda_momentum) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 16; ++mixture) {
            const int32_t gradient_dtype = kDtypes[mixture & 1],
                          state_dtype = kDtypes[mixture >> 1 & 1];
            const int32_t direction_dtype = kDtypes[mixture >> 2 & 1];
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor gradient = numbers.tensor(shape, gradient_dtype, 0.03);
            Tensor buffer = numbers.tensor(shape, state_dtype, 0.03);
            Tensor scale({1}, CP_F32, {0.37});
            Comparison with_buffer("momentum"), without("momentum");
            with_buffer.input(gradient).input(buffer).input(scale);
            with_buffer.output(shape, direction_dtype).output_on(1);
            without.input(gradient).absent().absent().output(shape, direction_dtype);
            for (Comparison* call : {&with_buffer, &without}) {
                CHECK(call->attribute("factor", 0.95)
                          .attribute("dampening", 0.5)
                          .attribute("nesterov", mixture >> 3)
                          .agrees(0));
            }
        }
    }
}

TEST(cuda_lion_direction) {
    for (const auto& shape : kWeights) {
        for (int mixture = 0; mixture < 8; ++mixture) {
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor gradient = numbers.tensor(shape, kDtypes[mixture & 1], 0.03);
            Tensor average = numbers.tensor(shape, kDtypes[mixture >> 1 & 1], 0.03);
            Tensor scale({1}, CP_F32, {0.37});
            CHECK(Comparison("lionDirection")
                      .input(gradient)
                      .input(average)
                      .input(scale)
                      .output(shape, kDtypes[mixture >> 2])
                      .output_on(1)
                      .attribute("beta1", 0.9)
                      .attribute("beta2", 0.99)
                      .agrees(0));
        }
    }
}

TEST(cuda_divide_by_norm) {
    const std::vector<int64_t> matrices[] = {{1, 1}, {40, 136}, {33, 61}, {1500, 9}, {3, 2500}};
    for (const auto& shape : matrices) {
        for (int mixture = 0; mixture < 12; ++mixture) {
            Numbers numbers(static_cast<uint64_t>(elements(shape)));
            Tensor x = numbers.tensor(shape, kDtypes[mixture & 1], 0.03);
            // Squares are added in another order.
            CHECK(Comparison("divideByNorm")
                      .input(x)
                      .output(shape, kDtypes[mixture >> 1 & 1])
                      .attribute("of", mixture >> 2)
                      .attribute("epsilon", 1e-8)
                      .attribute("factor", 3)
                      .agrees(1e-6));
        }
    }
}

TEST(cuda_gradient_spaces) {
    const int64_t rows = 40, columns = 24, rank = 8;
    for (int32_t dtype : kDtypes) {
        const double tolerance = dtype == CP_F32 ? 1e-4 : 2e-2;  // sums in another order
        Numbers numbers(7);
        Tensor gradient = numbers.tensor({rows, columns}, dtype, 1.0);
        CHECK(Comparison("projectLeft")
                  .input(gradient)
                  .output({rank, columns}, dtype)
                  .attribute("seedLow", 3)
                  .attribute("tensorId", 4)
                  .attribute("epoch", 5)
                  .attribute("distribution", 0)
                  .agrees(tolerance));
        CHECK(Comparison("orthonormalize")
                  .input(gradient)
                  .output({rows, columns}, dtype)
                  .agrees(tolerance));
        Tensor factors = numbers.tensor({columns}, CP_F32, 1.0);
        CHECK(Comparison("scaleChannels")
                  .input(gradient)
                  .input(factors)
                  .output({rows, columns}, dtype)
                  .attribute("axis", 1)
                  .agrees(0));
        Tensor compressed = numbers.tensor({rank, columns}, dtype, 1.0);
        Tensor direction = numbers.tensor({rank, columns}, dtype, 1.0);
        Tensor previous_norm({1}, CP_F32, {3});
        CHECK(Comparison("channelFactors")
                  .input(gradient)
                  .input(compressed)
                  .input(direction)
                  .input(previous_norm)
                  .absent()
                  .output({columns}, CP_F32)
                  .output_on(3)
                  .attribute("axis", 1)
                  .attribute("epsilon", 1e-8)
                  .attribute("growthLimit", 1.01)
                  .agrees(1e-4));
        Tensor row_means = squares(numbers, {rows}, CP_F32);
        Tensor column_means = squares(numbers, {columns}, CP_F32);
        CHECK(Comparison("adafactorDirection")
                  .input(gradient)
                  .input(row_means)
                  .input(column_means)
                  .absent()
                  .absent()
                  .output({rows, columns}, dtype)
                  .output_on(1)
                  .output_on(2)
                  .attribute("decayExponent", 0.8)
                  .attribute("epsilon", 1e-30)
                  .attribute("clipThreshold", 1)
                  .attribute("step", 7)
                  .attribute("leastParameter", 0)
                  .agrees(tolerance));
    }
}

TEST(cuda_norms_of_gradients) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : {1, 9, 16384, 16385, 40000}) {
            Numbers numbers(static_cast<uint64_t>(count));
            Tensor x = numbers.tensor({count}, dtype), partials = squares(numbers, {3}, CP_F32);
            // fp64 sums, rounded once
            CHECK(Comparison("sumOfSquares")
                      .input(x)
                      .input(partials)
                      .output_on(1)
                      .attribute("index", 2)
                      .agrees(1e-7));
        }
    }
    for (double max_norm : {-1.0, 0.0, 0.5, 1e6}) {
        Numbers numbers(3);
        Tensor partials = squares(numbers, {37}, CP_F32);
        CHECK(Comparison("gradientNorm")
                  .input(partials)
                  .output({1})
                  .output({1})
                  .attribute("maxNorm", max_norm)
                  .agrees(1e-7));
        partials.set(5, NAN);
        CHECK(Comparison("gradientNorm")
                  .input(partials)
                  .output({1})
                  .output({1})
                  .attribute("maxNorm", max_norm)
                  .agrees(1e-7));
    }
    Tensor x({4}), partials({2});
    Comparison bad("sumOfSquares");
    bad.input(x).input(partials).output_on(1).attribute("index", 2);
    CHECK(bad.status() == CP_FAILED && std::strcmp(bad.error().code, "ERR_COMPACT_INDEX") == 0);
}

}  // namespace compact::test
