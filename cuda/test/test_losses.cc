// Losses: chunks that do not divide the tokens, both orders of the weight, ignored and bad targets.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

Tensor targets_of(Numbers& numbers, int64_t tokens, int64_t classes) {
    Tensor targets({tokens}, CP_I32);
    for (int64_t i = 0; i < tokens; ++i) {
        targets.set(
            i, i % 5 == 2 ? -100 : std::floor(numbers.uniform() * static_cast<double>(classes)));
    }
    return targets;
}

// Exponentials and sums in another order.
constexpr double kLoss = 1e-5;
// Gradients of bf16 logits are rounded before they are multiplied; one that lies between two bf16
// numbers may go the other way.
double gradient_tolerance(int32_t dtype) { return dtype == CP_BF16 ? 4e-3 : 1e-5; }

}  // namespace

TEST(cuda_cross_entropy) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [tokens, classes] :
             {std::pair<int64_t, int64_t>{1, 1}, {7, 2}, {9, 131}, {3, 5000}}) {
            Numbers numbers(static_cast<uint64_t>(classes));
            Tensor logits = numbers.tensor({tokens, classes}, dtype, 3.0);
            Tensor targets = targets_of(numbers, tokens, classes);
            CHECK(Comparison("crossEntropy")
                      .input(logits)
                      .input(targets)
                      .output({1})
                      .attribute("lossScale", 0.25)
                      .attribute("ignoreIndex", -100)
                      .agrees(kLoss));
            CHECK(Comparison("crossEntropyBackward")
                      .input(logits)
                      .input(targets)
                      .output({1})
                      .output({tokens, classes}, dtype)
                      .attribute("lossScale", 0.25)
                      .attribute("ignoreIndex", -100)
                      .agrees(kLoss));
        }
    }
}

TEST(cuda_squared_error) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : {1, 31, 1000}) {
            Numbers numbers(static_cast<uint64_t>(count));
            Tensor predictions = numbers.tensor({count}, dtype), targets = numbers.tensor({count});
            if (count > 1) targets.set(1, NAN);  // not there
            CHECK(Comparison("squaredError")
                      .input(predictions)
                      .input(targets)
                      .output({1})
                      .attribute("lossScale", 0.25)
                      .agrees(kLoss));
            CHECK(Comparison("squaredErrorBackward")
                      .input(predictions)
                      .input(targets)
                      .output({1})
                      .output({count}, dtype)
                      .attribute("lossScale", 0.25)
                      .agrees(kLoss));
        }
    }
}

TEST(cuda_losses_of_capped_logits) {
    for (int32_t dtype : kDtypes) {
        Numbers numbers(5);
        Tensor x = numbers.tensor({9, 24}, dtype, 3.0), weight = numbers.tensor({41, 24}, dtype);
        Tensor targets = targets_of(numbers, 9, 41);
        CHECK(Comparison("linearCrossEntropyBackward")
                  .input(x)
                  .input(weight)
                  .input(targets)
                  .absent()
                  .output({1})
                  .output({9, 24}, dtype)
                  .output({41, 24})
                  .attribute("lossScale", 0.25)
                  .attribute("ignoreIndex", -100)
                  .attribute("chunkTokens", 4)
                  .attribute("softCap", 2)
                  .agrees(gradient_tolerance(dtype)));
    }
}

TEST(cuda_linear_cross_entropy) {
    for (int32_t dtype : kDtypes) {
        const std::vector<std::array<int64_t, 4>> shapes = {
            {1, 1, 1, 1}, {37, 24, 100, 16}, {20, 33, 2101, 16}, {20, 8, 7, 1024}};
        for (const auto& [tokens, width, vocab, chunk] : sizes(shapes, {3})) {
            Numbers numbers(static_cast<uint64_t>(vocab));
            const std::vector<int64_t> shape = {vocab, width};
            Tensor x = numbers.tensor({tokens, width}, dtype),
                   weight = numbers.tensor(shape, dtype);
            Tensor targets = targets_of(numbers, tokens, vocab);
            const auto agrees = [&, chunk = chunk](Comparison& call, double tolerance) {
                return call.attribute("lossScale", 0.5)
                    .attribute("ignoreIndex", -100)
                    .attribute("chunkTokens", static_cast<double>(chunk))
                    .agrees(tolerance);
            };
            Comparison forward("linearCrossEntropy");
            forward.input(x).input(weight).input(targets).output({1});
            CHECK(agrees(forward, kLoss));
            Comparison of_input("linearCrossEntropyInputBackward");
            of_input.input(x).input(weight).input(targets);
            of_input.output({1}).output({tokens, width}, dtype).output({tokens});
            CHECK(agrees(of_input, gradient_tolerance(dtype)));
            Tensor lse = numbers.tensor({tokens});
            for (int64_t i = 0; i < tokens; ++i) lse.set(i, lse.get(i) + 4.0);
            for (int32_t gradient_dtype : kDtypes) {
                Tensor before = numbers.tensor(shape, gradient_dtype);
                const double tolerance =
                    gradient_tolerance(gradient_dtype == CP_BF16 ? CP_BF16 : dtype);
                for (int accumulate : {0, 1}) {
                    // Emulated tensor cores are slow: the wide case, two steps of a row, runs once.
                    if (accumulate == 1 && vocab > 2048) continue;
                    Comparison backward("linearCrossEntropyBackward");
                    backward.input(x).input(weight).input(targets).input(before);
                    backward.output({1}).output({tokens, width}, dtype).output_on(3);
                    CHECK(agrees(backward.attribute("accumulate", accumulate), tolerance));
                }
                // As if the weight were rows of a larger one, before and after which targets lie.
                Comparison of_rows("linearCrossEntropyRowsBackward");
                of_rows.input(x).input(weight).input(targets).input(lse);
                of_rows.output(shape, gradient_dtype);
                of_rows.attribute("first", static_cast<double>(vocab / 3));
                CHECK(agrees(of_rows, tolerance));
            }
        }
    }
}

TEST(cuda_linear_log_probabilities) {
    for (int32_t dtype : kDtypes) {
        // Sequences, their length, width, vocabulary, chunk: chunks end within sequences.
        for (const auto& [sequences, length, width, vocab, chunk] :
             {std::array<int64_t, 5>{1, 1, 1, 1, 1}, {4, 9, 24, 100, 16}, {2, 5, 33, 2101, 1024}}) {
            const int64_t tokens = sequences * length;
            Numbers numbers(static_cast<uint64_t>(vocab));
            const std::vector<int64_t> shape = {vocab, width};
            Tensor x = numbers.tensor({tokens, width}, dtype),
                   weight = numbers.tensor(shape, dtype), lse = numbers.tensor({tokens}),
                   gradients = numbers.tensor({sequences});
            for (int64_t i = 0; i < tokens; ++i) lse.set(i, lse.get(i) + 4.0);
            Tensor targets = targets_of(numbers, tokens, vocab);
            const auto agrees = [&, length = length, chunk = chunk](Comparison& call,
                                                                    double tolerance) {
                return call.attribute("sequenceLength", static_cast<double>(length))
                    .attribute("ignoreIndex", -100)
                    .attribute("chunkTokens", static_cast<double>(chunk))
                    .attribute("softCap", length == 9 ? 2.0 : 0.0)
                    .agrees(tolerance);
            };
            Comparison forward("linearLogProbabilities");
            forward.input(x).input(weight).input(targets).output({sequences}).output({tokens});
            CHECK(agrees(forward, kLoss));
            Comparison of_input("linearLogProbabilitiesInputBackward");
            of_input.input(x).input(weight).input(targets).input(lse).input(gradients);
            of_input.output({tokens, width}, dtype);
            CHECK(agrees(of_input, gradient_tolerance(dtype)));
            for (int accumulate : {0, 1}) {
                // Emulated tensor cores are slow: the wide case, two steps of a row, runs once.
                if (accumulate == 1 && vocab > 2048) continue;
                Tensor before = numbers.tensor(shape);
                Comparison of_weight("linearLogProbabilitiesWeightBackward");
                of_weight.input(x).input(weight).input(targets).input(lse).input(gradients);
                of_weight.input(before).output_on(5).attribute("accumulate", accumulate);
                // As if the weight were rows of a larger one, before and after which targets lie.
                of_weight.attribute("first", static_cast<double>(vocab / 3));
                CHECK(agrees(of_weight, gradient_tolerance(dtype)));
            }
        }
    }
}

TEST(cuda_preference_loss) {
    for (int64_t sequences : {2, 6, 1026}) {
        Numbers numbers(static_cast<uint64_t>(sequences));
        Tensor log_probabilities = numbers.tensor({sequences}, CP_F32, 20.0),
               reference = numbers.tensor({sequences}, CP_F32, 20.0);
        if (sequences > 2) reference.set(3, NAN);  // not there
        for (const char* op : {"preferenceLoss", "preferenceLossBackward"}) {
            Comparison call(op);
            call.input(log_probabilities).input(reference).output({1}).output({sequences});
            if (std::strstr(op, "Backward") != nullptr) call.output({sequences});
            CHECK(call.attribute("beta", 0.5)
                      .attribute("labelSmoothing", 0.1)
                      .attribute("lossScale", 0.25)
                      .agrees(kLoss));
        }
    }
}

TEST(cuda_losses_that_are_not_finite) {
    for (double bad : {NAN, INFINITY}) {
        Tensor logits = Numbers(3).tensor({2, 9}), targets({2}, CP_I32, {1, 2});
        logits.set(4, bad);
        CHECK(Comparison("crossEntropyBackward")
                  .input(logits)
                  .input(targets)
                  .output({1})
                  .output({2, 9})
                  .attribute("lossScale", 1)
                  .attribute("ignoreIndex", -100)
                  .agrees(kLoss));
    }
}

TEST(cuda_bad_targets_are_reported_and_passed_over) {
    Tensor logits = Numbers(3).tensor({3, 4}), targets({3}, CP_I32, {1, 4, -7});
    Comparison call("crossEntropyBackward");
    call.input(logits).input(targets).output({1}).output({3, 4});
    call.attribute("lossScale", 1).attribute("ignoreIndex", -100);
    CHECK(call.status() == CP_FAILED);
    CHECK(std::strcmp(call.error().code, "ERR_COMPACT_INDEX") == 0);
    CHECK(std::string(call.error().expected) == "targets from 0 to 3");
    CHECK(std::string(call.error().received) == "4 at position 1");
}

}  // namespace compact::test
