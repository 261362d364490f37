// Ops of whole rows with more than 2^31 elements, 2^32 where the memory allows (large.h): norms,
// rotary embedding, attention, losses.
#include <cmath>

#include "cuda/test/large.h"

namespace compact::test {
namespace {

constexpr int64_t kWidth = 1024;

}  // namespace

// ---- Rows --------------------------------------------------------------------------------------

TEST(cuda_large_rows) {
    if (!runs_large()) return;
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
    // As many parts as rows.
    for (const char* op : {"firstRows", "firstRowsBackward"}) {
        CHECK(LargeRun(op, kWidth)
                  .rows({kWidth}, CP_BF16, 0.5)
                  .rows_output({kWidth}, CP_BF16)
                  .agrees(0));
    }
    const int64_t positions = 64, half = 32;
    Tensor cosines = Numbers(3).tensor({positions, half});
    Tensor sines = Numbers(4).tensor({positions, half});
    CHECK(LargeRun("rope", kWidth, positions)
              .rows({kWidth}, CP_BF16, 0.5)
              .whole(cosines)
              .whole(sines)
              .absent()
              .rows_output({kWidth}, CP_BF16)
              .attribute("headSize", 2 * half)
              .agrees(0));
}

TEST(cuda_large_norms) {
    if (!runs_large()) return;
    const int64_t width = 2056;
    Tensor weight = Numbers(2).tensor({width}, CP_BF16), bias = Numbers(3).tensor({width}, CP_BF16);
    CHECK(LargeRun("rmsNorm", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows_output({width}, CP_BF16)
              .rows_output({}, CP_F32)
              .attribute("epsilon", 1e-6)
              .agrees(1e-5));
    CHECK(LargeRun("addRmsNorm", width)
              .rows({width}, CP_BF16, 0.5)
              .rows({width}, CP_BF16, 0.25)
              .whole(weight)
              .rows_output({width}, CP_BF16)
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

// ---- Attention ---------------------------------------------------------------------------------

TEST(cuda_large_attention) {
    if (!runs_large()) return;
    const int64_t length = 128, heads = 16, head_size = 64, kv_width = 2 * head_size;
    for (int32_t dtype : kDtypes) {
        const double tolerance = dtype == CP_BF16 ? 6e-3 : 1e-5;
        const auto finish = [&](LargeRun& run) {
            return run.attribute("sequenceLength", length)
                .attribute("headSize", head_size)
                .attribute("causal", 1)
                .attribute("window", 0)
                .attribute("scale", 0.125)
                .agrees(tolerance);
        };
        LargeRun forward("attention", kWidth, length);
        forward.rows({kWidth}, dtype, 0.5).rows({kv_width}, dtype, 0.5);
        forward.rows({kv_width}, dtype, 0.5).absent().absent();
        forward.rows_output({kWidth}, dtype).rows_output({heads}, CP_F32);
        CHECK(finish(forward));
        // Any o and lse will do: the gradients are functions of them.
        LargeRun backward("attentionBackward", kWidth, length);
        backward.rows({kWidth}, dtype, 0.5).rows({kv_width}, dtype, 0.5);
        backward.rows({kv_width}, dtype, 0.5).rows({kWidth}, dtype, 0.5);
        backward.rows({heads}, CP_F32, 6.0).holding([](int64_t) { return 6.0; });
        backward.rows({kWidth}, dtype, 0.5).absent().absent();
        backward.rows_output({kWidth}, dtype).rows_output({kv_width}, dtype);
        backward.rows_output({kv_width}, dtype);
        CHECK(finish(backward));
    }
}

// Sequences of one token, which sees itself alone: o is v.
TEST(cuda_large_cached_attention) {
    if (!runs_large()) return;
    const int64_t head_size = 64, kv_width = 2 * head_size;
    LargeRun run("cachedAttention", kWidth);
    run.rows({kWidth}, CP_BF16, 0.5).rows({kv_width}, CP_BF16, 0.5).rows({kv_width}, CP_BF16, 0.5);
    run.rows({kv_width}, CP_BF16, 0.25).rows({kv_width}, CP_BF16, 0.25);
    run.rows({}, CP_I32, 0).holding([](int64_t) { return 0.0; });
    run.rows_output({kWidth}, CP_BF16).output_on(3).output_on(4);
    CHECK(run.attribute("newTokens", 1)
              .attribute("headSize", head_size)
              .attribute("scale", 0.125)
              .attribute("window", 0)
              .attribute("softCap", 0)
              .agrees(0));
}

// ---- Losses ------------------------------------------------------------------------------------

TEST(cuda_large_losses) {
    if (!runs_large()) return;
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
    Tensor weight = Numbers(5).tensor({vocabulary, width}, CP_BF16);
    CHECK(LargeRun("linearCrossEntropy", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_I32, -100)
              .holding(target)
              .whole_output({1})
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
              .whole_output({vocabulary, width})
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .attribute("chunkTokens", 16384)
              .agrees(4e-3));
    CHECK(LargeRun("linearCrossEntropyInputBackward", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_I32, -100)
              .holding(target)
              .whole_output({1})
              .rows_output({width}, CP_BF16)
              .rows_output({}, CP_F32)
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .attribute("chunkTokens", 16384)
              .agrees(4e-3));
    CHECK(LargeRun("linearCrossEntropyRowsBackward", width)
              .rows({width}, CP_BF16, 0.5)
              .whole(weight)
              .rows({}, CP_I32, -100)
              .holding(target)
              .rows({}, CP_F32, 0.0)
              .holding([](int64_t) { return 3.0; })
              .whole_output({vocabulary, width})
              .attribute("first", 0)
              .attribute("lossScale", 0.125)
              .attribute("ignoreIndex", -100)
              .attribute("chunkTokens", 16384)
              .agrees(4e-3));
    const auto log_probabilities = [&](LargeRun& run) -> LargeRun& {
        run.rows({width}, CP_BF16, 0.5).whole(weight).rows({}, CP_I32, -100).holding(target);
        return run.attribute("sequenceLength", 1)
            .attribute("ignoreIndex", -100)
            .attribute("chunkTokens", 16384);
    };
    LargeRun of_sequences("linearLogProbabilities", width);
    log_probabilities(of_sequences).rows_output({}, CP_F32).rows_output({}, CP_F32);
    CHECK(of_sequences.agrees(1e-5));
    for (const char* op :
         {"linearLogProbabilitiesInputBackward", "linearLogProbabilitiesWeightBackward"}) {
        LargeRun run(op, width);
        log_probabilities(run).rows({}, CP_F32, 0.0).holding([](int64_t) { return 3.0; });
        run.rows({}, CP_F32, 0.125);
        if (std::strstr(op, "Input") != nullptr) {
            run.rows_output({width}, CP_BF16);
        } else {
            run.absent().whole_output({vocabulary, width}).attribute("first", 0);
        }
        CHECK(run.agrees(4e-3));
    }
    Tensor codes({vocabulary, width}, CP_I8), scales({(width * vocabulary + 31) / 32});
    for (int64_t i = 0; i < codes.size(); ++i) codes.set(i, static_cast<double>(i % 11 - 5));
    for (int64_t i = 0; i < scales.size(); ++i) scales.set(i, 0.0625);
    for (const char* op : {"linearCrossEntropyInt8", "linearCrossEntropyInt8Backward"}) {
        LargeRun run(op, width);
        run.rows({width}, CP_BF16, 0.5).whole(codes).whole(scales).attribute("groupSize", 32);
        run.rows({}, CP_I32, -100).holding(target).whole_output({1});
        if (std::strstr(op, "Backward") != nullptr) run.rows_output({width}, CP_BF16);
        CHECK(run.attribute("lossScale", 0.125)
                  .attribute("ignoreIndex", -100)
                  .attribute("chunkTokens", 16384)
                  .agrees(4e-3));
    }
}

}  // namespace compact::test
