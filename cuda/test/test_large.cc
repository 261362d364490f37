// Ops with more than 2^31 elements, 2^32 where the memory allows (large.h): one element at a time,
// optimizers, sums.
#include <cmath>

#include "cuda/test/large.h"
#include "native/base/normal.h"
#include "native/base/stochastic_rounding.h"

namespace compact::test {
namespace {

constexpr int64_t kWidth = 1024;

LargeRun elementwise(const char* op, int inputs, int outputs, int32_t dtype = CP_BF16) {
    LargeRun run(op, kWidth);
    for (int i = 0; i < inputs; ++i) run.rows({kWidth}, dtype, 0.5);
    for (int i = 0; i < outputs; ++i) run.rows_output({kWidth}, dtype);
    return run;
}

}  // namespace

// ---- One element at a time ---------------------------------------------------------------------

TEST(cuda_large_elementwise) {
    if (!runs_large()) return;
    for (const char* op : {"add", "multiply"}) CHECK(elementwise(op, 2, 1).agrees(0));
    CHECK(elementwise("scale", 1, 1).attribute("factor", -0.3).agrees(0));
    CHECK(elementwise("clip", 1, 1).attribute("limit", 0.2).agrees(0));
    CHECK(elementwise("copy", 1, 1).agrees(0));
    CHECK(elementwise("fill", 0, 1).attribute("value", 0.1).agrees(0));
    CHECK(LargeRun("cast", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows_output({kWidth}, CP_F32)
              .agrees(0));
}

TEST(cuda_large_activations) {
    if (!runs_large()) return;
    CHECK(elementwise("silu", 1, 1).agrees(1e-6));
    CHECK(elementwise("siluBackward", 2, 1).agrees(1e-6));
    CHECK(elementwise("swiglu", 2, 1).agrees(1e-6));
    CHECK(elementwise("swigluBackward", 3, 2).agrees(1e-6));
    CHECK(elementwise("geglu", 2, 1).agrees(1e-6));
    CHECK(elementwise("gegluBackward", 3, 2).agrees(1e-6));
    CHECK(elementwise("tanh", 1, 1).attribute("cap", 2).agrees(1e-6));
    CHECK(elementwise("tanhBackward", 2, 1).attribute("cap", 30).agrees(1e-6));
    CHECK(elementwise("gelu", 1, 1).attribute("approximate", 0).agrees(3e-6));
    CHECK(elementwise("geluBackward", 2, 1).attribute("approximate", 0).agrees(3e-6));
}

TEST(cuda_large_segments) {
    if (!runs_large()) return;
    const int64_t width = 4;  // a row for each byte
    CHECK(LargeRun("segments", width)
              .rows({width}, CP_BF16, 0.5)
              .rows_output({}, CP_U8)
              .attribute("threshold1", -1.5)
              .attribute("threshold2", 0.25)
              .attribute("threshold3", 3)
              .agrees(0));
    CHECK(LargeRun("segmentsBackward", width)
              .rows({}, CP_U8, 3.0, 40.0)
              .rows({width}, CP_BF16, 0.5)
              .rows_output({width}, CP_BF16)
              .attribute("slope1", -0.3)
              .attribute("slope2", 1.1)
              .attribute("slope3", 0.7)
              .agrees(0));
}

TEST(cuda_large_random_numbers) {
    if (!runs_large()) return;
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
    if (!runs_large()) return;
    const int64_t group = 64;
    struct Format {
        const char *there, *back;
        int32_t codes;
    };
    for (const auto& [there, back, codes] :
         {Format{"quantize", "dequantize", CP_I8}, Format{"quantizeFp8", "dequantizeFp8", CP_U8}}) {
        CHECK(LargeRun(there, group)
                  .rows({group}, CP_BF16, 0.5)
                  .rows_output({group}, codes)
                  .rows_output({}, CP_F32)
                  .attribute("groupSize", group)
                  .agrees(0));
        CHECK(LargeRun(back, group)
                  .rows({group}, codes, 3.0, 40.0)
                  .rows({}, CP_F32, 0.5)
                  .rows_output({group}, CP_BF16)
                  .attribute("groupSize", group)
                  .agrees(0));
    }
}

TEST(cuda_large_weights_in_int8) {
    if (!runs_large()) return;
    const int64_t group = 64;
    // Scales stay, and whole codes are not rounded: random numbers depend on where a group stands.
    const auto full_range = [](int64_t i) { return i % 64 == 0 ? 127.0 : small_integer(i); };
    CHECK(LargeRun("weightUpdateInt8", group)
              .rows({group}, CP_I8, 100.0)
              .holding(full_range)
              .rows({}, CP_F32, 0.5)
              .holding([](int64_t) { return 0.5; })
              .rows({group}, CP_BF16, 0.5)
              .absent()
              .output_on(0)
              .output_on(1)
              .attribute("groupSize", group)
              .attribute("learningRate", 0)
              .attribute("step", 1)
              .agrees(0));
    Tensor direction({1, group}, CP_BF16);
    CHECK(LargeRun("projectBackUpdateInt8", group)
              .rows({group}, CP_I8, 100.0)
              .holding(full_range)
              .rows({}, CP_F32, 0.5)
              .holding([](int64_t) { return 0.5; })
              .whole(direction)
              .output_on(0)
              .output_on(1)
              .attribute("groupSize", group)
              .attribute("distribution", 1)
              .attribute("learningRate", 0)
              .attribute("step", 1)
              .agrees(0));
    Tensor ids({3}, CP_I32, {0, 1, 2});
    CHECK(LargeRun("embeddingInt8", group)
              .rows({group}, CP_I8, 3.0, 40.0)
              .rows({}, CP_F32, 0.5)
              .whole(ids)
              .whole_output({3, group})
              .attribute("groupSize", group)
              .agrees(0));
}

TEST(cuda_large_quantize_nf4) {
    if (!runs_large()) return;
    const int64_t span = 16384;
    CHECK(LargeRun("quantizeNf4", span)
              .rows({span}, CP_BF16, 0.5)
              .rows_output({span / 2}, CP_U8)
              .rows_output({256}, CP_U8)
              .rows_output({2}, CP_F32)
              .agrees(0));
    CHECK(LargeRun("dequantizeNf4", span)
              .rows({span / 2}, CP_U8, 3.0, 40.0)
              .rows({256}, CP_U8, 2.0)
              .rows({2}, CP_F32, 0.5)
              .rows_output({span}, CP_BF16)
              .agrees(0));
}

// ---- Optimizers --------------------------------------------------------------------------------

TEST(cuda_large_optimizers) {
    if (!runs_large()) return;
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
              .attribute("updateScale", 0.5)
              .attribute("momentumFactor", 0.9)
              .attribute("nesterov", 1)
              .attribute("weightDecay", 0.1)
              .agrees(0));
    CHECK(LargeRun("weightUpdate", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .absent()
              .output_on(0)
              .attribute("learningRate", 0.003)
              .attribute("updateScale", 0.5)
              .attribute("weightDecay", 0.1)
              .agrees(0));
}

TEST(cuda_large_directions) {
    if (!runs_large()) return;
    CHECK(LargeRun("momentum", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .absent()
              .rows_output({kWidth}, CP_BF16)
              .output_on(1)
              .attribute("factor", 0.9)
              .attribute("dampening", 0.5)
              .attribute("nesterov", 1)
              .agrees(0));
    CHECK(LargeRun("lionDirection", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.5)
              .absent()
              .rows_output({kWidth}, CP_BF16)
              .output_on(1)
              .attribute("beta1", 0.9)
              .attribute("beta2", 0.99)
              .agrees(0));
    // Rows of zeros add nothing to a length.
    for (const double of : {0.0, 1.0, 2.0}) {
        CHECK(LargeRun("divideByNorm", kWidth)
                  .rows({kWidth}, CP_BF16, 0.0)
                  .holding(small_integer)
                  .rows_output({kWidth}, CP_F32)
                  .attribute("of", of)
                  .attribute("epsilon", 1e-8)
                  .attribute("factor", 3)
                  .agrees(1e-6));
    }
    // At the first step all means are those of the gradient, which is the same number everywhere.
    Tensor columns({kWidth}, CP_F32);
    for (int64_t i = 0; i < kWidth; ++i) columns.set(i, 0.1);
    CHECK(LargeRun("adafactorDirection", kWidth)
              .rows({kWidth}, CP_BF16, 0.5, 0.0)
              .holding([](int64_t) { return 0.5; })
              .rows({}, CP_F32, 0.3)
              .whole(columns)
              .absent()
              .absent()
              .rows_output({kWidth}, CP_BF16)
              .output_on(1)
              .output_on(2)
              .attribute("decayExponent", 0.8)
              .attribute("epsilon", 1e-30)
              .attribute("clipThreshold", 1)
              .attribute("step", 1)
              .agrees(1e-6));
}

TEST(cuda_large_gradient_spaces) {
    if (!runs_large()) return;
    Tensor factors({kWidth}, CP_F32);
    for (int64_t i = 0; i < kWidth; ++i) factors.set(i, 0.5 + 0.25 * small_integer(i));
    CHECK(LargeRun("scaleChannels", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .holding(small_integer)
              .whole(factors)
              .rows_output({kWidth}, CP_BF16)
              .attribute("axis", 1)
              .agrees(0));
    // One factor for all; rows of zeros add nothing to a length.
    Tensor compressed({2, 3}, CP_F32, {1, 2, 3, 4, 5, 6});
    Tensor direction({2, 3}, CP_F32, {2, 1, -1, 3, 1, 2});
    Tensor previous_norm({1}, CP_F32, {3});
    CHECK(LargeRun("channelFactors", kWidth)
              .rows({kWidth}, CP_BF16, 0.0)
              .holding(small_integer)
              .whole(compressed)
              .whole(direction)
              .whole(previous_norm)
              .absent()
              .whole_output({1})
              .output_on(3)
              .attribute("axis", 2)
              .attribute("epsilon", 1e-8)
              .attribute("growthLimit", 1.01)
              .agrees(1e-6));
    const int64_t rank = 16;
    CHECK(LargeRun("orthonormalize", rank)
              .rows({rank}, CP_F32, 0.0)
              .holding([](int64_t i) { return std::sin(static_cast<double>(i * i % 1009)); })
              .rows_output({rank}, CP_F32)
              .agrees(1e-5));
}

// A weight that only decays, so that the number to be rounded is known.
TEST(cuda_large_stochastic_rounding) {
    if (!runs_large()) return;
    const RoundingKey key{5, 17, 4};
    CHECK(LargeRun("sgd", kWidth)
              .rows({kWidth}, CP_BF16, 0.5)
              .rows({kWidth}, CP_BF16, 0.0, 0.0)
              .absent()
              .absent()
              .output_on(0)
              .attribute("learningRate", 1)
              .attribute("updateScale", 1)
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
    if (!runs_large()) return;
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

}  // namespace compact::test
