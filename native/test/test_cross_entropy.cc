// Both losses against fp64: chunks, ignored and bad targets, accumulation, rows of the weight.
#include "native/test/op_test.h"

namespace compact::test {
namespace {

constexpr int64_t kTokens = 37, kWidth = 24, kVocab = 101;
constexpr double kLossScale = 0.125;

// Targets with some ignored.
Tensor make_targets(double ignore_index) {
    Numbers numbers(21);
    Tensor targets({kTokens}, CP_I32);
    for (int64_t i = 0; i < kTokens; ++i) {
        targets.set(i, i % 7 == 3 ? ignore_index : std::floor(numbers.uniform() * kVocab));
    }
    return targets;
}

struct Twin {
    double loss = 0.0;
    std::vector<double> lse = std::vector<double>(kTokens, 0.0);  // 0 where nothing counts
    std::vector<double> d_logits = std::vector<double>(kTokens * kVocab, 0.0);

    Twin(const std::vector<double>& logits, Tensor& targets, double ignore_index) {
        for (int64_t i = 0; i < kTokens; ++i) {
            if (targets.get(i) == ignore_index) continue;
            const double* row = logits.data() + i * kVocab;
            const auto target = static_cast<int64_t>(targets.get(i));
            double largest = -INFINITY, total = 0.0;
            for (int64_t j = 0; j < kVocab; ++j) largest = std::max(largest, row[j]);
            for (int64_t j = 0; j < kVocab; ++j) total += std::exp(row[j] - largest);
            lse[static_cast<size_t>(i)] = largest + std::log(total);
            loss += kLossScale * (largest + std::log(total) - row[target]);
            for (int64_t j = 0; j < kVocab; ++j) {
                d_logits[static_cast<size_t>(i * kVocab + j)] =
                    kLossScale * (std::exp(row[j] - largest) / total - (j == target ? 1.0 : 0.0));
            }
        }
    }
};

}  // namespace

TEST(linear_cross_entropy_agrees_with_fp64) {
    const double ignore_index = -100;
    Tensor targets = make_targets(ignore_index);
    for (int32_t dtype : kDtypes) {
        Numbers numbers(22);
        Tensor x = numbers.tensor({kTokens, kWidth}, dtype);
        Tensor w = numbers.tensor({kVocab, kWidth}, dtype, 0.5);
        Tensor before = numbers.tensor({kVocab, kWidth}, CP_F32, 0.1);
        std::vector<double> logits(kTokens * kVocab, 0.0), dx(kTokens * kWidth, 0.0);
        std::vector<double> dw(kVocab * kWidth, 0.0), dw_added = before.values();
        for (int64_t i = 0; i < kTokens; ++i) {
            for (int64_t j = 0; j < kVocab; ++j) {
                for (int64_t k = 0; k < kWidth; ++k) {
                    logits[static_cast<size_t>(i * kVocab + j)] +=
                        x.get(i * kWidth + k) * w.get(j * kWidth + k);
                }
            }
        }
        Twin twin(logits, targets, ignore_index);
        for (int64_t i = 0; i < kTokens; ++i) {
            for (int64_t j = 0; j < kVocab; ++j) {
                const double d = twin.d_logits[static_cast<size_t>(i * kVocab + j)];
                for (int64_t k = 0; k < kWidth; ++k) {
                    const auto at = static_cast<size_t>(j * kWidth + k);
                    dx[static_cast<size_t>(i * kWidth + k)] += d * w.get(j * kWidth + k);
                    dw[at] += d * x.get(i * kWidth + k);
                    dw_added[at] += d * x.get(i * kWidth + k);
                }
            }
        }
        // dLogits are rounded to bf16 before the products, a chunk at a time.
        const double tolerance = dtype == CP_BF16 ? 2e-3 : 2e-6;
        for (double chunk : {1.0, 10.0, 1024.0}) {
            for_every_device([&](CpDevice& device) {
                Tensor loss({1}), forward_loss({1}), d_x({kTokens, kWidth}, dtype);
                Tensor d_w({kVocab, kWidth}, CP_F32, before.values());
                OpCall forward("linearCrossEntropy"), backward("linearCrossEntropyBackward");
                forward.input(x).input(w).input(targets).output(forward_loss);
                backward.input(x).input(w).input(targets).input(d_w);
                backward.output(loss).output(d_x).output(d_w).attribute("accumulate", 1);
                Tensor input_loss({1}), input_d_x({kTokens, kWidth}, dtype), lse({kTokens});
                OpCall of_input("linearCrossEntropyInputBackward");
                of_input.input(x).input(w).input(targets);
                of_input.output(input_loss).output(input_d_x).output(lse);
                for (OpCall* call : {&forward, &backward, &of_input}) {
                    call->attribute("lossScale", kLossScale)
                        .attribute("ignoreIndex", ignore_index)
                        .attribute("chunkTokens", chunk);
                    CHECK(call->run(device) == CP_OK);
                }
                CHECK(close(loss, {twin.loss}, 1e-6));
                CHECK(loss.contents() == forward_loss.contents());
                CHECK(input_loss.contents() == loss.contents());
                CHECK(input_d_x.contents() == d_x.contents());
                CHECK(close(lse, twin.lse, 1e-6));
                CHECK(close(d_x, dx, tolerance));
                CHECK(close(d_w, dw_added, tolerance));
                std::string found = loss.contents() + d_x.contents() + d_w.contents();
                // The rows of the weight one part after the other; the last is short.
                for (int64_t first = 0; first < kVocab; first += 40) {
                    const int64_t rows = std::min<int64_t>(40, kVocab - first);
                    const auto part = [&](const std::vector<double>& of) {
                        return std::vector<double>(of.begin() + first * kWidth,
                                                   of.begin() + (first + rows) * kWidth);
                    };
                    Tensor w_rows({rows, kWidth}, dtype, part(w.values())), d_rows({rows, kWidth});
                    OpCall of_rows("linearCrossEntropyRowsBackward");
                    of_rows.input(x).input(w_rows).input(targets).input(lse).output(d_rows);
                    of_rows.attribute("first", static_cast<double>(first))
                        .attribute("lossScale", kLossScale)
                        .attribute("ignoreIndex", ignore_index)
                        .attribute("chunkTokens", chunk);
                    CHECK(of_rows.run(device) == CP_OK);
                    CHECK(close(d_rows, part(dw), tolerance));
                    found += d_rows.contents();
                }
                return found;
            });
        }
    }
}

TEST(linear_log_probabilities_agree_with_fp64) {
    const int64_t sequences = 3, length = 11, tokens = sequences * length;
    const double ignore_index = -100;
    Numbers drawn(31);
    Tensor targets({tokens}, CP_I32);
    for (int64_t i = 0; i < tokens; ++i) {
        targets.set(i, i % 4 == 1 ? ignore_index : std::floor(drawn.uniform() * kVocab));
    }
    for (int32_t dtype : kDtypes) {
        Numbers numbers(32);
        Tensor x = numbers.tensor({tokens, kWidth}, dtype);
        Tensor w = numbers.tensor({kVocab, kWidth}, dtype, 0.5);
        Tensor gradients = numbers.tensor({sequences});
        Tensor before = numbers.tensor({kVocab, kWidth}, CP_F32, 0.1);
        std::vector<double> sums(sequences, 0.0), lses(tokens, 0.0);
        std::vector<double> dx(tokens * kWidth, 0.0), dw = before.values();
        for (int64_t i = 0; i < tokens; ++i) {
            if (targets.get(i) == ignore_index) continue;
            std::vector<double> row(kVocab, 0.0);
            double total = 0.0;
            for (int64_t j = 0; j < kVocab; ++j) {
                for (int64_t k = 0; k < kWidth; ++k) {
                    row[static_cast<size_t>(j)] += x.get(i * kWidth + k) * w.get(j * kWidth + k);
                }
                total += std::exp(row[static_cast<size_t>(j)]);
            }
            const auto target = static_cast<size_t>(targets.get(i));
            lses[static_cast<size_t>(i)] = std::log(total);
            sums[static_cast<size_t>(i / length)] += row[target] - std::log(total);
            for (int64_t j = 0; j < kVocab; ++j) {
                const double hit = j == static_cast<int64_t>(target) ? 1.0 : 0.0;
                const double d = gradients.get(i / length) *
                                 (hit - std::exp(row[static_cast<size_t>(j)]) / total);
                for (int64_t k = 0; k < kWidth; ++k) {
                    dx[static_cast<size_t>(i * kWidth + k)] += d * w.get(j * kWidth + k);
                    dw[static_cast<size_t>(j * kWidth + k)] += d * x.get(i * kWidth + k);
                }
            }
        }
        // dLogits are rounded to bf16 before the products, a chunk at a time.
        const double tolerance = dtype == CP_BF16 ? 1e-2 : 1e-5;
        for (double chunk : {1.0, 10.0, 1024.0}) {
            for_every_device([&](CpDevice& device) {
                Tensor found({sequences}), lse({tokens}), d_x({tokens, kWidth}, dtype);
                Tensor d_w({kVocab, kWidth}, CP_F32, before.values());
                OpCall forward("linearLogProbabilities");
                forward.input(x).input(w).input(targets).output(found).output(lse);
                OpCall of_input("linearLogProbabilitiesInputBackward");
                of_input.input(x).input(w).input(targets).input(lse).input(gradients).output(d_x);
                OpCall of_weight("linearLogProbabilitiesWeightBackward");
                of_weight.input(x).input(w).input(targets).input(lse).input(gradients);
                of_weight.input(d_w).output(d_w).attribute("first", 0).attribute("accumulate", 1);
                for (OpCall* call : {&forward, &of_input, &of_weight}) {
                    call->attribute("sequenceLength", length)
                        .attribute("ignoreIndex", ignore_index)
                        .attribute("chunkTokens", chunk);
                    CHECK(call->run(device) == CP_OK);
                }
                CHECK(close(found, sums, 1e-6));
                CHECK(close(lse, lses, 1e-6));
                CHECK(close(d_x, dx, tolerance));
                CHECK(close(d_w, dw, tolerance));
                return found.contents() + lse.contents() + d_x.contents() + d_w.contents();
            });
        }
    }
}

TEST(preference_loss_is_that_of_its_pairs) {
    // Two pairs that count, and one of which the reference is not known.
    Tensor log_probabilities({6}, CP_F32, {-3.0, -5.0, -1.0, -2.0, -900.0, -2.0});
    Tensor reference({6}, CP_F32, {-4.0, -4.0, NAN, -2.0, -2.0, -900.0});
    const auto minus_log_sigmoid = [](double z) { return std::log1p(std::exp(-z)); };
    const double beta = 0.5, smoothing = 0.25, scale = 0.125;
    // The second pair is far out: -log sigmoid(-898) is 898, -log sigmoid(898) is 0.
    const double loss = scale * ((1 - smoothing) * minus_log_sigmoid(beta * 2) +
                                 smoothing * minus_log_sigmoid(-beta * 2) + (1 - smoothing) * 898);
    const double wrong = 1 / (1 + std::exp(beta * 2));
    const double slope = scale * beta * (smoothing * (1 - wrong) - (1 - smoothing) * wrong);
    const double far = -scale * beta * (1 - smoothing);
    for_every_device([&](CpDevice& device) {
        Tensor found({1}), forward_found({1}), ratios({6}), forward_ratios({6}), d({6});
        OpCall forward("preferenceLoss"), backward("preferenceLossBackward");
        forward.input(log_probabilities).input(reference);
        forward.output(forward_found).output(forward_ratios);
        backward.input(log_probabilities).input(reference).output(found).output(ratios).output(d);
        for (OpCall* call : {&forward, &backward}) {
            call->attribute("beta", beta).attribute("labelSmoothing", smoothing);
            CHECK(call->attribute("lossScale", scale).run(device) == CP_OK);
        }
        CHECK(close(found, {loss}, 1e-6));
        CHECK(close(ratios, {1, -1, 0, 0, -898, 898}, 0));
        CHECK(close(d, {slope, -slope, 0, 0, far, -far}, 1e-6));
        CHECK(found.contents() == forward_found.contents());
        CHECK(ratios.contents() == forward_ratios.contents());
        return found.contents() + ratios.contents() + d.contents();
    });
}

TEST(sequences_and_pairs_are_whole) {
    Tensor x({7, 8}), w({9, 8}), targets({7}, CP_I32), sums({2}), lse({7}), odd({3}), loss({1});
    OpCall call("linearLogProbabilities");
    call.input(x).input(w).input(targets).output(sums).output(lse);
    call.attribute("sequenceLength", 3).attribute("ignoreIndex", -100).attribute("chunkTokens", 4);
    CHECK(call.check() == CP_FAILED && std::strcmp(call.error().code, "ERR_COMPACT_SHAPE") == 0);
    OpCall pairs("preferenceLoss");
    pairs.input(odd).input(odd).output(loss).output(odd);
    pairs.attribute("beta", 0.1).attribute("labelSmoothing", 0).attribute("lossScale", 1);
    CHECK(pairs.check() == CP_FAILED && std::strcmp(pairs.error().code, "ERR_COMPACT_SHAPE") == 0);
}

TEST(cross_entropy_agrees_with_fp64) {
    const double ignore_index = 7;  // a valid class may be the ignored one
    Tensor targets = make_targets(ignore_index);
    for (int32_t dtype : kDtypes) {
        Numbers numbers(23);
        Tensor logits = numbers.tensor({kTokens, kVocab}, dtype, 3.0);
        for (int64_t i = 0; i < kTokens; ++i) logits.set(i * kVocab + i, -INFINITY);
        for (int64_t i = 0; i < kTokens; ++i) {
            if (targets.get(i) == static_cast<double>(i))
                targets.set(i, static_cast<double>(i + 1));
        }
        Twin twin(logits.values(), targets, ignore_index);
        for_every_device([&](CpDevice& device) {
            Tensor loss({1}), forward_loss({1}), d_logits({kTokens, kVocab}, dtype);
            OpCall forward("crossEntropy"), backward("crossEntropyBackward");
            forward.input(logits).input(targets).output(forward_loss);
            backward.input(logits).input(targets).output(loss).output(d_logits);
            for (OpCall* call : {&forward, &backward}) {
                call->attribute("lossScale", kLossScale).attribute("ignoreIndex", ignore_index);
                CHECK(call->run(device) == CP_OK);
            }
            CHECK(close(loss, {twin.loss}, 1e-6));
            CHECK(loss.contents() == forward_loss.contents());
            CHECK(close(d_logits, twin.d_logits, 1e-6));
            return loss.contents() + d_logits.contents();
        });
    }
}

TEST(targets_out_of_range_write_nothing) {
    Numbers numbers(24);
    Tensor logits = numbers.tensor({kTokens, kVocab});
    Tensor targets = make_targets(-100);
    targets.set(5, kVocab);
    for_every_device([&](CpDevice& device) {
        Tensor loss({1}), d_logits({kTokens, kVocab});
        const std::string before = d_logits.contents();
        OpCall call("crossEntropyBackward");
        call.input(logits).input(targets).output(loss).output(d_logits);
        call.attribute("lossScale", 1).attribute("ignoreIndex", -100);
        CHECK(call.run(device) == CP_FAILED);
        CHECK(std::strcmp(call.error().code, "ERR_COMPACT_INDEX") == 0);
        CHECK(std::string(call.error().received) == "101 at position 5");
        CHECK(d_logits.contents() == before);
        return std::string();
    });
}

TEST(linear_cross_entropy_refuses_chunks_of_nothing) {
    Tensor x({4, 8}), w({9, 8}), targets({4}, CP_I32), loss({1});
    OpCall call("linearCrossEntropy");
    call.input(x).input(w).input(targets).output(loss);
    call.attribute("lossScale", 1).attribute("ignoreIndex", -100).attribute("chunkTokens", 0);
    CHECK(call.check() == CP_FAILED && std::strcmp(call.error().code, "ERR_COMPACT_ARGUMENT") == 0);
}

}  // namespace compact::test
