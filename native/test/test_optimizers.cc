// Optimizers against the same arithmetic in fp64, stochastic rounding to the bit, norms.
#include "native/base/stochastic_rounding.h"
#include "native/test/op_test.h"

namespace compact::test {
namespace {

constexpr double kLearningRate = 0.01, kDecay = 0.1, kBeta1 = 0.9, kBeta2 = 0.95;
constexpr double kEpsilon = 0.01;  // so much that it shows
constexpr double kGradientScale = 0.5;

struct Adam {
    std::vector<double> weight, exp_avg, exp_avg_sq, direction;

    void step(Tensor& gradient, double first_step, double second_step) {
        direction.resize(weight.size());
        for (size_t i = 0; i < weight.size(); ++i) {
            const double g = gradient.get(static_cast<int64_t>(i)) * kGradientScale;
            exp_avg[i] = kBeta1 * exp_avg[i] + (1 - kBeta1) * g;
            exp_avg_sq[i] = kBeta2 * exp_avg_sq[i] + (1 - kBeta2) * g * g;
            const double m = exp_avg[i] / (1 - std::pow(kBeta1, first_step));
            const double v = exp_avg_sq[i] / (1 - std::pow(kBeta2, second_step));
            direction[i] = m / (std::sqrt(v) + kEpsilon);
            weight[i] = weight[i] * (1 - kLearningRate * kDecay) - kLearningRate * direction[i];
        }
    }
};

OpCall& adam_attributes(OpCall& call) {
    return call.attribute("beta1", kBeta1)
        .attribute("beta2", kBeta2)
        .attribute("epsilon", kEpsilon);
}

// The number that stochastic rounding must give: checked by its own arithmetic, one element at a
// time.
double rounded(float value, int64_t row, int64_t column, const RoundingKey& key) {
    const PhiloxWords words =
        rounding_words(key, static_cast<uint32_t>(row), static_cast<uint32_t>(column / 8));
    return bf16_to_float(bf16_stochastic(value, philox_half(words, static_cast<int>(column % 8))));
}

}  // namespace

TEST(adam_w_follows_fp64_for_five_steps) {
    const int64_t size = 4099;
    for (int32_t gradient_dtype : kDtypes) {
        Numbers numbers(51);
        Tensor start = numbers.tensor({size});
        std::vector<Tensor> gradients;
        for (int i = 0; i < 5; ++i) gradients.push_back(numbers.tensor({size}, gradient_dtype));
        const std::vector<double> zeros(static_cast<size_t>(size), 0.0);
        Adam twin{start.values(), zeros, zeros, {}};
        for (int step = 1; step <= 5; ++step)
            twin.step(gradients[static_cast<size_t>(step - 1)], step, step);
        for_every_device([&](CpDevice& device) {
            Tensor weight = start, exp_avg({size}), exp_avg_sq({size}),
                   scale({1}, CP_F32, {kGradientScale});
            for (int step = 1; step <= 5; ++step) {
                OpCall call("adamW");
                call.input(weight).input(gradients[static_cast<size_t>(step - 1)]).input(exp_avg);
                call.input(exp_avg_sq)
                    .input(scale)
                    .output(weight)
                    .output(exp_avg)
                    .output(exp_avg_sq);
                adam_attributes(call).attribute("learningRate", kLearningRate);
                call.attribute("updateScale", 1)
                    .attribute("weightDecay", kDecay)
                    .attribute("step", step);
                CHECK(call.run(device) == CP_OK);
            }
            CHECK(close(weight, twin.weight, 1e-6) && close(exp_avg, twin.exp_avg, 1e-6));
            CHECK(close(exp_avg_sq, twin.exp_avg_sq, 1e-6));
            return weight.contents() + exp_avg.contents() + exp_avg_sq.contents();
        });
    }
}

TEST(adam_direction_with_steps_of_their_own) {
    const int64_t size = 1033;
    for (int32_t state_dtype : kDtypes) {
        for (bool in_place : {false, true}) {
            Numbers numbers(52);
            Tensor gradient = numbers.tensor({size}), m = numbers.tensor({size}, state_dtype);
            Tensor v = numbers.tensor({size}, state_dtype);
            for (int64_t i = 0; i < size; ++i) v.set(i, std::fabs(v.get(i)));
            Adam twin{
                std::vector<double>(static_cast<size_t>(size), 0.0), m.values(), v.values(), {}};
            twin.step(gradient, 3, 40);
            for_every_device([&](CpDevice& device) {
                Tensor g = gradient, exp_avg = m, exp_avg_sq = v, own({size});
                Tensor scale({1}, CP_F32, {kGradientScale});
                Tensor& direction = in_place ? g : own;
                OpCall call("adamDirection");
                call.input(g).input(exp_avg).input(exp_avg_sq).input(scale);
                call.output(direction).output(exp_avg).output(exp_avg_sq);
                adam_attributes(call)
                    .attribute("firstMomentStep", 3)
                    .attribute("secondMomentStep", 40);
                CHECK(call.run(device) == CP_OK);
                CHECK(close(direction, twin.direction, 2e-6) && close(exp_avg, twin.exp_avg, 1e-6));
                CHECK(close(exp_avg_sq, twin.exp_avg_sq, 1e-6));
                return direction.contents() + exp_avg.contents() + exp_avg_sq.contents();
            });
        }
    }
}

TEST(sgd_rounds_stochastically_by_row_and_column) {
    const int64_t rows = 23,
                  columns = 3001;  // rows that end within groups of eight and within chunks
    const RoundingKey key = {1234, 7, 3};
    for (bool matrix : {true, false}) {
        const std::vector<int64_t> shape =
            matrix ? std::vector<int64_t>{rows, columns} : std::vector<int64_t>{rows * columns};
        Numbers numbers(53);
        Tensor start = numbers.tensor(shape, CP_BF16), gradient = numbers.tensor(shape, CP_F32);
        Tensor expected(shape, CP_BF16);
        for (int64_t i = 0; i < start.size(); ++i) {
            const float value = static_cast<float>(start.get(i)) * 1.0f -
                                0.01f * static_cast<float>(gradient.get(i));
            expected.set(i, matrix ? rounded(value, i / columns, i % columns, key)
                                   : rounded(value, 0, i, key));
        }
        for_every_device([&](CpDevice& device) {
            Tensor weight = start;
            OpCall call("sgd");
            call.input(weight).input(gradient).absent().absent().output(weight);
            call.attribute("learningRate", 0.01)
                .attribute("updateScale", 1)
                .attribute("weightDecay", 0)
                .attribute("step", key.step);
            call.attribute("stochasticRounding", 1).attribute("roundingSeed", key.seed);
            call.attribute("tensorId", key.tensor_id);
            CHECK(call.run(device) == CP_OK);
            CHECK(weight.contents() == expected.contents());
            return weight.contents();
        });
    }
}

TEST(sgd_with_momentum_agrees_with_fp64) {
    const int64_t size = 555;
    Numbers numbers(54);
    Tensor start = numbers.tensor({size}), gradient = numbers.tensor({size}),
           momentum = numbers.tensor({size});
    std::vector<double> weight, buffer;
    for (int64_t i = 0; i < size; ++i) {
        buffer.push_back(0.8 * momentum.get(i) + gradient.get(i));
        weight.push_back(start.get(i) * (1 - kLearningRate * kDecay) -
                         kLearningRate * 0.5 * (0.8 * buffer.back() + gradient.get(i)));
    }
    for_every_device([&](CpDevice& device) {
        Tensor w = start, b = momentum;
        OpCall call("sgd");
        call.input(w).input(gradient).input(b).absent().output(w).output(b);
        call.attribute("learningRate", kLearningRate).attribute("weightDecay", kDecay);
        call.attribute("updateScale", 0.5).attribute("nesterov", 1);
        CHECK(call.attribute("momentumFactor", 0.8).run(device) == CP_OK);
        CHECK(close(w, weight, 3e-7) && close(b, buffer, 3e-7));
        return w.contents() + b.contents();
    });
}

TEST(norm_of_gradients_and_its_factor) {
    Numbers numbers(55);
    Tensor a = numbers.tensor({100003}), b = numbers.tensor({77}, CP_BF16, 1e20);
    double square_a = 0.0, square_b = 0.0;
    for (double value : a.values()) square_a += value * value;
    for (double value : b.values()) square_b += value * value;
    for_every_device([&](CpDevice& device) {
        Tensor partials({2}), norm({1}), scale({1});
        OpCall first("sumOfSquares"), second("sumOfSquares"), whole("gradientNorm"),
            beyond("sumOfSquares");
        CHECK(first.input(a).input(partials).output(partials).attribute("index", 1).run(device) ==
              CP_OK);
        CHECK(std::fabs(partials.get(1) / square_a - 1) < 1e-7);
        // Squares of 1e20 overflow fp32, their sum is infinite there too: nothing may wrap around.
        CHECK(second.input(b).input(partials).output(partials).attribute("index", 0).run(device) ==
              CP_OK);
        CHECK(partials.get(0) == static_cast<double>(static_cast<float>(square_b)));
        CHECK(beyond.input(a).input(partials).output(partials).attribute("index", 2).run(device) ==
              CP_FAILED);
        partials.set(0, 2.0);
        CHECK(
            whole.input(partials).output(norm).output(scale).attribute("maxNorm", 10).run(device) ==
            CP_OK);
        CHECK(std::fabs(norm.get(0) / std::sqrt(square_a + 2.0) - 1) < 1e-6);
        CHECK(std::fabs(scale.get(0) * std::sqrt(square_a + 2.0) / 10 - 1) < 1e-6);
        return partials.contents() + norm.contents() + scale.contents();
    });
}

}  // namespace compact::test
