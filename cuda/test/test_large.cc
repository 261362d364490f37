// One case per op with more than 2^31 elements, 2^32 where the memory allows (large.h).
#include <cmath>

#include "cuda/test/large.h"
#include "native/base/normal.h"
#include "native/base/op_signatures.h"
#include "native/base/stochastic_rounding.h"

namespace compact::test {
namespace {

constexpr int64_t kWidth = 1024;

bool runs() {
    if (options().large) return true;
    skip("runs with --large");
    return false;
}

// Small integers: exact sums.
double small_integer(int64_t i) { return static_cast<double>(i * 7 % 9 - 4); }

Tensor small_integers(std::vector<int64_t> shape, int32_t dtype) {
    Tensor result(std::move(shape), dtype);
    for (int64_t i = 0; i < result.size(); ++i) result.set(i, small_integer(i));
    return result;
}

LargeRun elementwise(const char* op, int inputs, int outputs, int32_t dtype = CP_BF16) {
    LargeRun run(op, kWidth);
    for (int i = 0; i < inputs; ++i) run.rows({kWidth}, dtype, 0.5);
    for (int i = 0; i < outputs; ++i) run.rows_output({kWidth}, dtype);
    return run;
}

}  // namespace

// ---- One element at a time ---------------------------------------------------------------------

TEST(cuda_large_elementwise) {
    if (!runs()) return;
    for (const char* op : {"add", "multiply"}) CHECK(elementwise(op, 2, 1).agrees(0));
    CHECK(elementwise("scale", 1, 1).attribute("factor", -0.3).agrees(0));
    CHECK(elementwise("copy", 1, 1).agrees(0));
    CHECK(elementwise("fill", 0, 1).attribute("value", 0.1).agrees(0));
    CHECK(LargeRun("cast", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows_output({kWidth}, CP_F32)
              .agrees(0));
}

TEST(cuda_large_activations) {
    if (!runs()) return;
    CHECK(elementwise("silu", 1, 1).agrees(1e-6));
    CHECK(elementwise("siluBackward", 2, 1).agrees(1e-6));
    CHECK(elementwise("swiglu", 2, 1).agrees(1e-6));
    CHECK(elementwise("swigluBackward", 3, 2).agrees(1e-6));
    CHECK(elementwise("gelu", 1, 1).attribute("approximate", 0).agrees(3e-6));
    CHECK(elementwise("geluBackward", 2, 1).attribute("approximate", 0).agrees(3e-6));
}

TEST(cuda_large_random_numbers) {
    if (!runs()) return;
    const uint32_t seed_low = 3000000000u, seed_high = 5, tensor = 9, step = 77;
    const double probability = 0.25;
    const auto words = [&](int64_t counter, uint32_t last) {
        return philox(
            {{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), tensor, last}},
            seed_low, seed_high);
    };
    const auto seeded = [&](LargeRun run) {
        return run.attribute("seedLow", seed_low)
            .attribute("seedHigh", seed_high)
            .attribute("tensorId", tensor);
    };
    CHECK(seeded(elementwise("dropout", 1, 1))
              .attribute("probability", probability)
              .attribute("step", step)
              .formula([&](int64_t e, double x) {
                  const bool kept = words(e / 4, step).word[e % 4] >= probability * 0x1p32;
                  return kept ? static_cast<double>(static_cast<float>(x) *
                                                    static_cast<float>(1.0 / 0.75))
                              : 0.0;
              })
              .agrees(0));
    CHECK(seeded(elementwise("randomNormal", 0, 1))
              .attribute("standardDeviation", 0.02)
              .formula([&](int64_t e, double) {
                  const uint16_t half =
                      philox_half(words(e / 8, 0xffffffffu), static_cast<int>(e % 8));
                  return static_cast<double>(0.02f * normal_from_bits(half, kNormalTable));
              })
              .agrees(0));
}

TEST(cuda_large_quantize) {
    if (!runs()) return;
    const int64_t group = 64;
    CHECK(LargeRun("quantize", group)
              .rows({group}, CP_BF16, 0.5)
              .rows_output({group}, CP_I8)
              .rows_output({}, CP_F32)
              .attribute("groupSize", group)
              .agrees(0));
    CHECK(LargeRun("dequantize", group)
              .rows({group}, CP_I8, 3.0, 40.0)
              .rows({}, CP_F32, 0.5)
              .rows_output({group}, CP_BF16)
              .attribute("groupSize", group)
              .agrees(0));
}

// ---- Optimizers --------------------------------------------------------------------------------

TEST(cuda_large_optimizers) {
    if (!runs()) return;
    const auto square = [](int64_t i) { return 1e-4 * static_cast<double>(i % 13); };
    CHECK(LargeRun("adamDirection", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .holding(square)
              .absent()
              .rows_output({kWidth}, CP_BF16)
              .output_on(1)
              .output_on(2)
              .attribute("beta1", 0.9)
              .attribute("beta2", 0.999)
              .attribute("epsilon", 1e-8)
              .attribute("firstMomentStep", 3)
              .attribute("secondMomentStep", 7)
              .agrees(0));
    CHECK(LargeRun("adamW", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .holding(square)
              .absent()
              .output_on(0)
              .output_on(2)
              .output_on(3)
              .attribute("learningRate", 0.003)
              .attribute("updateScale", 0.5)
              .attribute("beta1", 0.9)
              .attribute("beta2", 0.95)
              .attribute("epsilon", 1e-8)
              .attribute("weightDecay", 0.1)
              .attribute("step", 4)
              .agrees(0));
    CHECK(LargeRun("sgd", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .absent()
              .output_on(0)
              .output_on(2)
              .attribute("learningRate", 0.003)
              .attribute("momentumFactor", 0.9)
              .attribute("weightDecay", 0.1)
              .agrees(0));
}

// A weight that only decays, so that the number to be rounded is known.
TEST(cuda_large_stochastic_rounding) {
    if (!runs()) return;
    const RoundingKey key{5, 17, 4};
    CHECK(LargeRun("sgd", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.0, 0.0)
              .absent()
              .absent()
              .output_on(0)
              .attribute("learningRate", 1)
              .attribute("weightDecay", 0.01)
              .attribute("step", key.step)
              .attribute("stochasticRounding", 1)
              .attribute("roundingSeed", key.seed)
              .attribute("tensorId", key.tensor_id)
              .formula([&](int64_t e, double weight) {
                  const int64_t row = e / kWidth, column = e % kWidth;
                  const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(row),
                                                           static_cast<uint32_t>(column / 8));
                  const float decayed = static_cast<float>(weight) * static_cast<float>(1.0 - 0.01);
                  return static_cast<double>(bf16_to_float(
                      bf16_stochastic(decayed, philox_half(words, static_cast<int>(column % 8)))));
              })
              .agrees(0));
}

TEST(cuda_large_sums) {
    if (!runs()) return;
    Tensor partials({2}, CP_F32, {1, 2});
    CHECK(LargeRun("sumOfSquares", kWidth)
              .rows({kWidth}, CP_BF16, 0.0)
              .whole(partials)
              .output_on(1)
              .attribute("index", 1)
              .agrees(1e-7));
    CHECK(LargeRun("columnSum", kWidth)
              .rows({kWidth}, CP_BF16, 0.0)
              .holding(small_integer)
              .absent()
              .whole_output({kWidth})
              .agrees(0));
}

// ---- Rows --------------------------------------------------------------------------------------

TEST(cuda_large_rows) {
    if (!runs()) return;
    Tensor bias = Numbers(2).tensor({kWidth}, CP_BF16);
    CHECK(LargeRun("bias", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .whole(bias)
              .rows_output({kWidth}, CP_BF16)
              .agrees(0));
    CHECK(LargeRun("selectRow", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .whole_output({1, kWidth}, CP_BF16)
              .last_row_attribute("row")
              .agrees(0));
    const int64_t positions = 64, half = 32;
    Tensor cosines = Numbers(3).tensor({positions, half});
    Tensor sines = Numbers(4).tensor({positions, half});
    CHECK(LargeRun("rope", kWidth, positions)
              .rows({kWidth}, CP_BF16, 0.5)
              .whole(cosines)
              .whole(sines)
              .rows_output({kWidth}, CP_BF16)
              .attribute("headSize", 2 * half)
              .agrees(0));
}

TEST(cuda_large_norms) {
    if (!runs()) return;
    const int64_t width = 2056;
    Tensor weight = Numbers(2).tensor({width}, CP_BF16), bias = Numbers(3).tensor({width}, CP_BF16);
    CHECK(LargeRun("rmsNorm", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows_output({width}, CP_BF16)
              .rows_output({}, CP_F32)
              .attribute("epsilon", 1e-6)
              .agrees(1e-5));
    CHECK(LargeRun("rmsNormBackward", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_F32, 1.0)
              .rows({width}, CP_BF16, 0.0)
              .absent()
              .absent()
              .rows_output({width}, CP_BF16)
              .whole_output({width})
              .agrees(1e-5));
    CHECK(LargeRun("layerNorm", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .whole(bias)
              .rows_output({width}, CP_BF16)
              .rows_output({}, CP_F32)
              .rows_output({}, CP_F32)
              .attribute("epsilon", 1e-5)
              .agrees(1e-5));
    CHECK(LargeRun("layerNormBackward", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_F32, 0.0)
              .rows({}, CP_F32, 1.0)
              .rows({width}, CP_BF16, 0.0)
              .absent()
              .absent()
              .rows_output({width}, CP_BF16)
              .whole_output({width})
              .whole_output({width})
              .agrees(1e-5));
}

// Token i has the row `count - 1 - i` of the table.
TEST(cuda_large_embedding) {
    if (!runs()) return;
    for (int64_t count : large_row_counts(kWidth)) {
        LargeTensor from(count, {kWidth}, CP_BF16), to(count, {kWidth}, CP_BF16);
        LargeTensor ids(count, {}, CP_I32);
        if (from.bytes() + to.bytes() + 40 * ids.bytes() > free_device_bytes()) {
            skip("the table and its tokens do not fit");
            continue;
        }
        skip("");
        if (!CHECK(from.allocate() && to.allocate() && ids.allocate())) return;
        Tensor reversed({count}, CP_I32);
        for (int64_t i = 0; i < count; ++i) reversed.set(i, static_cast<double>(count - 1 - i));
        ids.write(0, reversed.contents());
        from.fill(0.5);
        Numbers numbers(7);
        std::vector<RowWindow> windows = row_windows(count, kWidth, 1);
        for (const RowWindow& window : windows) {
            from.write(window.first, numbers.tensor({window.rows, kWidth}, CP_BF16).contents());
        }
        for (const char* op : {"embedding", "embeddingBackward"}) {
            const bool forward = std::strcmp(op, "embedding") == 0;
            to.fill(0.0);
            CpCall call{};
            call.inputs[0] = forward ? from.view() : ids.view();
            call.inputs[1] = forward ? ids.view() : from.view();
            call.num_inputs = forward ? 2 : 3;
            call.outputs[0] = to.view();
            call.num_outputs = 1;
            if (!CHECK(run_op_on_gpu(op, call))) continue;
            bool equal = true;
            for (const RowWindow& window : windows) {
                for (int64_t i = 0; i < window.rows; ++i) {
                    const int64_t row = window.first + i;
                    equal = equal && to.read(count - 1 - row, 1) == from.read(row, 1);
                }
            }
            if (CHECK(equal)) run_large().insert(op);
        }
        from.release();
        to.release();
        ids.release();
        return;
    }
}

// ---- Products ----------------------------------------------------------------------------------

TEST(cuda_large_matmul) {
    if (!runs()) return;
    const int64_t inner = 16, columns = 24;
    for (int32_t dtype : kDtypes) {
        Tensor b = small_integers({inner, columns}, dtype);
        CHECK(LargeRun("matmul", inner)
                  .rows({inner}, dtype, 1.0)
                  .holding(small_integer)
                  .whole(b)
                  .absent()
                  .rows_output({columns}, dtype)
                  .attribute("transposeA", 0)
                  .attribute("transposeB", 0)
                  .attribute("alpha", 0.5)
                  .agrees(0));
        // A gradient: many tokens are summed.
        CHECK(LargeRun("matmul", columns)
                  .rows({inner}, dtype, 0.0)
                  .holding(small_integer)
                  .rows({columns}, dtype, 1.0)
                  .holding(small_integer)
                  .absent()
                  .whole_output({inner, columns})
                  .attribute("transposeA", 1)
                  .attribute("transposeB", 0)
                  .attribute("alpha", 0.5)
                  .agrees(0));
    }
}

TEST(cuda_large_project) {
    if (!runs()) return;
    const int64_t in_features = 64, rank = 16;
    CHECK(LargeRun("project", in_features)
              .rows({in_features}, CP_BF16, 1.0)
              .holding(small_integer)
              .rows_output({rank}, CP_BF16)
              .attribute("seedLow", 3)
              .attribute("tensorId", 4)
              .attribute("epoch", 5)
              .attribute("distribution", 1)
              .agrees(0));
}

// The CPU has the first and last columns of the weight, which do not depend on the others.
TEST(cuda_large_project_back_update) {
    if (!runs()) return;
    const int64_t rank = 16, part = 8;
    for (int64_t rows : large_row_counts(kWidth)) {
        LargeTensor weight(rows, {kWidth}, CP_BF16);
        LargeTensor direction(rank, {kWidth}, CP_BF16);
        if (weight.bytes() + (int64_t{64} << 20) > free_device_bytes()) {
            skip("the weight does not fit");
            continue;
        }
        skip("");
        if (!CHECK(weight.allocate() && direction.allocate())) return;
        Tensor whole_direction = small_integers({rank, kWidth}, CP_BF16);
        direction.write(0, whole_direction.contents());
        bool equal = true;
        // Random numbers belong to columns, so only the first ones are rounded by them.
        for (const bool first : {true, false}) {
            const int64_t begin = first ? 0 : kWidth - part;
            weight.fill(0.3);
            Tensor part_weight({rows, part}, CP_BF16), part_direction({rank, part}, CP_BF16);
            for (int64_t i = 0; i < part_weight.size(); ++i) part_weight.set(i, 0.3);
            for (int64_t i = 0; i < part_direction.size(); ++i) {
                part_direction.set(i, whole_direction.get(i / part * kWidth + begin + i % part));
            }
            CpCall call{};
            call.inputs[0] = call.outputs[0] = weight.view();
            call.inputs[1] = direction.view();
            call.num_inputs = 2;
            call.num_outputs = 1;
            Comparison on_cpu("projectBackUpdate");
            on_cpu.input(part_weight).input(part_direction).output_on(0);
            for (const auto& [name, value] :
                 std::vector<std::pair<const char*, double>>{{"seedLow", 3},
                                                             {"tensorId", 4},
                                                             {"epoch", 5},
                                                             {"distribution", 1},
                                                             {"learningRate", 0.0123},
                                                             {"updateScale", 0.25},
                                                             {"weightDecay", 0.1},
                                                             {"stochasticRounding", first},
                                                             {"roundingSeed", 6},
                                                             {"step", 7}}) {
                call.attributes[call.num_attributes++] = {name, value, -1};
                on_cpu.attribute(name, value);
            }
            if (!CHECK(run_op_on_gpu("projectBackUpdate", call))) break;
            const std::string expected = on_cpu.expected()[0];
            for (const RowWindow& window : row_windows(rows, kWidth, 1)) {
                equal = equal && weight.read(window.first, window.rows, begin, part) ==
                                     expected.substr(static_cast<size_t>(window.first * part * 2),
                                                     static_cast<size_t>(window.rows * part * 2));
            }
        }
        if (CHECK(equal)) run_large().insert("projectBackUpdate");
        weight.release();
        direction.release();
        return;
    }
}

TEST(cuda_large_project_transfer) {
    if (!runs()) return;
    const int64_t rank = 4096, part = 8;
    for (int64_t columns : large_row_counts(rank)) {
        LargeTensor moment(rank, {columns}, CP_BF16);
        // With the new moment in fp32 and a block of rows.
        if (moment.bytes() * 3 + (int64_t{1} << 30) > free_device_bytes() && columns > rank) {
            skip("the moment does not fit");
            continue;
        }
        skip("");
        if (!CHECK(moment.allocate())) return;
        moment.fill(1.0);
        Tensor some({rank, 2 * part}, CP_BF16);
        for (int64_t i = 0; i < rank; ++i) {
            for (int64_t j = 0; j < 2 * part; ++j) {
                const bool last = j >= part && i + 1 == rank;
                some.set(i * 2 * part + j, last ? 3.0 : 1.0);
            }
        }
        Tensor tail({part}, CP_BF16);
        for (int64_t j = 0; j < part; ++j) tail.set(j, 3.0);
        moment.write_part(rank - 1, columns - part, tail.contents());
        CpCall call{};
        call.inputs[0] = call.outputs[0] = moment.view();
        call.num_inputs = call.num_outputs = 1;
        Comparison on_cpu("projectTransfer");
        on_cpu.input(some).output_on(0);
        for (const auto& [name, value] :
             std::vector<std::pair<const char*, double>>{{"rows", 64},
                                                         {"seedLow", 3},
                                                         {"tensorId", 4},
                                                         {"oldEpoch", 0},
                                                         {"newEpoch", 1},
                                                         {"distribution", 1}}) {
            call.attributes[call.num_attributes++] = {name, value, -1};
            on_cpu.attribute(name, value);
        }
        if (CHECK(run_op_on_gpu("projectTransfer", call))) {
            const std::string expected = on_cpu.expected()[0];
            std::string found;
            for (int64_t row = 0; row < rank; ++row) {
                found += moment.read(row, 1, 0, part) + moment.read(row, 1, columns - part, part);
            }
            if (CHECK(found == expected)) run_large().insert("projectTransfer");
        }
        moment.release();
        return;
    }
}

// ---- Attention ---------------------------------------------------------------------------------

TEST(cuda_large_attention) {
    if (!runs()) return;
    const int64_t length = 128, heads = 16, head_size = 64, kv_width = 2 * head_size;
    for (int32_t dtype : kDtypes) {
        const double tolerance = dtype == CP_BF16 ? 6e-3 : 1e-5;
        const auto finish = [&](LargeRun& run) {
            return run.attribute("sequenceLength", length)
                .attribute("headSize", head_size)
                .attribute("causal", 1)
                .attribute("scale", 0.125)
                .agrees(tolerance);
        };
        LargeRun forward("attention", kWidth, length);
        forward.rows({kWidth}, dtype, 0.5).rows({kv_width}, dtype, 0.5);
        forward.rows({kv_width}, dtype, 0.5).absent();
        forward.rows_output({kWidth}, dtype).rows_output({heads}, CP_F32);
        CHECK(finish(forward));
        // Any o and lse will do: the gradients are functions of them.
        LargeRun backward("attentionBackward", kWidth, length);
        backward.rows({kWidth}, dtype, 0.5).rows({kv_width}, dtype, 0.5);
        backward.rows({kv_width}, dtype, 0.5).rows({kWidth}, dtype, 0.5);
        backward.rows({heads}, CP_F32, 6.0).holding([](int64_t) { return 6.0; });
        backward.rows({kWidth}, dtype, 0.5).absent();
        backward.rows_output({kWidth}, dtype).rows_output({kv_width}, dtype);
        backward.rows_output({kv_width}, dtype);
        CHECK(finish(backward));
    }
}

// ---- Losses ------------------------------------------------------------------------------------

TEST(cuda_large_losses) {
    if (!runs()) return;
    const auto target = [](int64_t i) { return static_cast<double>(i % 16); };
    const int64_t classes = 32771, width = 2056, vocabulary = 16;
    CHECK(LargeRun("crossEntropy", classes)
              .rows({classes}, CP_BF16, 0.5)
              .rows({}, CP_I32, -100)
              .holding(target)
              .whole_output({1})
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .agrees(1e-5));
    CHECK(LargeRun("crossEntropyBackward", classes)
              .rows({classes}, CP_BF16, 0.5)
              .rows({}, CP_I32, -100)
              .holding(target)
              .whole_output({1})
              .rows_output({classes}, CP_BF16)
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .agrees(1e-5));
    Tensor weight = Numbers(5).tensor({width, vocabulary}, CP_BF16);
    CHECK(LargeRun("linearCrossEntropy", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_I32, -100)
              .holding(target)
              .whole_output({1})
              .attribute("transposeWeight", 0)
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .attribute("chunkTokens", 16384)
              .agrees(1e-5));
    CHECK(LargeRun("linearCrossEntropyBackward", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_I32, -100)
              .holding(target)
              .absent()
              .whole_output({1})
              .rows_output({width}, CP_BF16)
              .whole_output({width, vocabulary})
              .attribute("transposeWeight", 0)
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .attribute("chunkTokens", 16384)
              .agrees(4e-3));
}

// gradientNorm has one number per parameter: no machine has so many parameters.
TEST(cuda_large_has_every_op) {
    const std::vector<std::string>& names = options().names;
    if (!runs() || (!names.empty() && names != std::vector<std::string>{"cuda_large"})) return;
    for (const OpSignature& signature : kOpSignatures) {
        if (std::strcmp(signature.name, "gradientNorm") == 0) continue;
        if (run_large().count(signature.name) == 0) {
            skip(std::string("the device lacks the memory for ") + signature.name + " or others");
        }
    }
}

}  // namespace compact::test
