// Norms, rotary embedding, embedding: one row or one head at a time.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

struct Shape {
    int64_t rows, width;
};

// Widths around packs and blocks, one beyond what the sums of a chunk keep in shared memory; rows
// around the chunks of the reduction.
const std::vector<Shape> kShapes = {{1, 1},    {3, 7},    {9, 8},     {17, 250},
                                    {70, 256}, {4, 2051}, {1030, 16}, {2, 8200}};
const std::vector<size_t> kReduced = {3, 6, 7};

// fp32 sums of up to 8200 terms in another order.
constexpr double kSums = 1e-5;
constexpr double kEpsilon = 0.1;  // so much that it shows

}  // namespace

TEST(cuda_rms_norm) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [rows, width] : sizes(kShapes, kReduced)) {
            Numbers numbers(static_cast<uint64_t>(rows + width));
            Tensor x = numbers.tensor({rows, width}, dtype),
                   weight = numbers.tensor({width}, dtype);
            Comparison forward("rmsNorm");
            forward.input(x).input(weight).output({rows, width}, dtype).output({rows});
            CHECK(forward.attribute("epsilon", kEpsilon).agrees(kSums));
            Tensor rstd({rows});
            std::memcpy(rstd.view().data, forward.found(1).data(), forward.found(1).size());
            Tensor dy = numbers.tensor({rows, width}, dtype);
            Tensor residual = numbers.tensor({rows, width}, dtype);
            for (int32_t gradient_dtype : kDtypes) {
                Tensor before = numbers.tensor({width}, gradient_dtype);
                // dx apart, on dy, on the residual gradient
                CHECK(Comparison("rmsNormBackward")
                          .input(x)
                          .input(weight)
                          .input(rstd)
                          .input(dy)
                          .absent()
                          .absent()
                          .output({rows, width}, dtype)
                          .output({width}, gradient_dtype)
                          .attribute("accumulate", 0)
                          .agrees(kSums));
                CHECK(Comparison("rmsNormBackward")
                          .input(x)
                          .input(weight)
                          .input(rstd)
                          .input(dy)
                          .input(residual)
                          .input(before)
                          .output_on(3)
                          .output_on(5)
                          .attribute("accumulate", 1)
                          .agrees(kSums));
                CHECK(Comparison("rmsNormBackward")
                          .input(x)
                          .input(weight)
                          .input(rstd)
                          .input(dy)
                          .input(residual)
                          .input(before)
                          .output_on(4)
                          .output_on(5)
                          .attribute("accumulate", 0)
                          .agrees(kSums));
            }
        }
    }
}

TEST(cuda_add_rms_norm) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [rows, width] : sizes(kShapes, kReduced)) {
            Numbers numbers(static_cast<uint64_t>(rows + width));
            Tensor a = numbers.tensor({rows, width}, dtype);
            Tensor b = numbers.tensor({rows, width}, dtype);
            Tensor weight = numbers.tensor({width}, dtype);
            Comparison both("addRmsNorm");
            both.input(a).input(b).input(weight);
            both.output({rows, width}, dtype).output({rows, width}, dtype).output({rows});
            CHECK(both.attribute("epsilon", kEpsilon).agrees(kSums));
            // The bits of the two ops apart.
            Comparison adding("add"), norming("rmsNorm");
            CHECK(adding.input(a).input(b).output({rows, width}, dtype).agrees(0));
            CHECK(adding.found(0) == both.found(0));
            Tensor sum({rows, width}, dtype);
            std::memcpy(sum.view().data, adding.found(0).data(), adding.found(0).size());
            norming.input(sum).input(weight).output({rows, width}, dtype).output({rows});
            CHECK(norming.attribute("epsilon", kEpsilon).agrees(kSums));
            CHECK(norming.found(0) == both.found(1) && norming.found(1) == both.found(2));
            // The sum and the norm on either operand.
            for (int place : {0, 1}) {
                CHECK(Comparison("addRmsNorm")
                          .input(a)
                          .input(b)
                          .input(weight)
                          .output_on(place)
                          .output_on(1 - place)
                          .output({rows})
                          .attribute("epsilon", kEpsilon)
                          .agrees(kSums));
            }
        }
    }
}

TEST(cuda_layer_norm) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [rows, width] : sizes(kShapes, kReduced)) {
            Numbers numbers(static_cast<uint64_t>(rows + width));
            Tensor x = numbers.tensor({rows, width}, dtype),
                   weight = numbers.tensor({width}, dtype);
            Tensor bias = numbers.tensor({width}, dtype);
            Comparison forward("layerNorm");
            forward.input(x).input(weight).input(bias);
            forward.output({rows, width}, dtype).output({rows}).output({rows});
            CHECK(forward.attribute("epsilon", kEpsilon).agrees(kSums));
            Tensor mean({rows}), rstd({rows});
            std::memcpy(mean.view().data, forward.found(1).data(), forward.found(1).size());
            std::memcpy(rstd.view().data, forward.found(2).data(), forward.found(2).size());
            Tensor dy = numbers.tensor({rows, width}, dtype);
            for (int32_t gradient_dtype : kDtypes) {
                Tensor d_weight = numbers.tensor({width}, gradient_dtype);
                Tensor d_bias = numbers.tensor({width}, gradient_dtype);
                for (int accumulate : {0, 1}) {
                    CHECK(Comparison("layerNormBackward")
                              .input(x)
                              .input(weight)
                              .input(mean)
                              .input(rstd)
                              .input(dy)
                              .input(d_weight)
                              .input(d_bias)
                              .output({rows, width}, dtype)
                              .output_on(5)
                              .output_on(6)
                              .attribute("accumulate", accumulate)
                              .agrees(kSums));
                }
            }
        }
    }
}

TEST(cuda_rope) {
    for (int32_t dtype : kDtypes) {
        for (int64_t head_size : {2, 6, 16, 34, 128}) {
            const int64_t positions = 5, rows = 10, width = 3 * head_size;
            Numbers numbers(static_cast<uint64_t>(head_size));
            Tensor x = numbers.tensor({rows, width}, dtype);
            Tensor cosines = numbers.tensor({positions, head_size / 2});
            Tensor sines = numbers.tensor({positions, head_size / 2});
            Tensor places({rows}, CP_I32, {4, 0, 1, 0, 1, 2, 3, 0, 2, 2});
            for (int inverse : {0, 1}) {
                CHECK(Comparison("rope")
                          .input(x)
                          .input(cosines)
                          .input(sines)
                          .absent()
                          .output({rows, width}, dtype)
                          .attribute("headSize", static_cast<double>(head_size))
                          .attribute("inverse", inverse)
                          .agrees(0));
            }
            CHECK(Comparison("rope")
                      .input(x)
                      .input(cosines)
                      .input(sines)
                      .input(places)
                      .output_on(0)
                      .attribute("headSize", static_cast<double>(head_size))
                      .attribute("inverse", 0)
                      .agrees(0));
        }
    }
}

TEST(cuda_embedding) {
    // Several chunks of the sort (1400 tokens), vocabularies around blocks of the prefix sum.
    const std::vector<std::array<int64_t, 3>> shapes = {
        {1, 1, 1}, {40, 7, 9}, {1400, 300, 16}, {600, 2100, 1030}};
    for (const auto& [tokens, vocab, width] : sizes(shapes, {2})) {
        for (int32_t dtype : kDtypes) {
            Numbers numbers(static_cast<uint64_t>(tokens));
            Tensor table = numbers.tensor({vocab, width}, dtype), ids({tokens}, CP_I32);
            for (int64_t i = 0; i < tokens; ++i) {
                const double u = numbers.uniform();
                ids.set(i, std::floor(u * u * static_cast<double>(vocab)));  // crowded at 0
            }
            CHECK(Comparison("embedding")
                      .input(table)
                      .input(ids)
                      .output({tokens, width}, dtype)
                      .agrees(0));
            Tensor dy = numbers.tensor({tokens, width}, dtype);
            for (int32_t gradient_dtype : kDtypes) {
                Tensor before = numbers.tensor({vocab, width}, gradient_dtype);
                for (int accumulate : {0, 1}) {
                    // Sums in ascending position: the bits of the CPU.
                    CHECK(Comparison("embeddingBackward")
                              .input(ids)
                              .input(dy)
                              .input(before)
                              .output_on(2)
                              .attribute("first", 0)
                              .attribute("numIds", 0)
                              .attribute("accumulate", accumulate)
                              .agrees(0));
                }
                const int64_t count = (vocab + 2) / 3;
                for (int64_t first : {int64_t{0}, vocab - count}) {
                    CHECK(Comparison("embeddingBackward")
                              .input(ids)
                              .input(dy)
                              .absent()
                              .output({count, width}, gradient_dtype)
                              .attribute("first", static_cast<double>(first))
                              .attribute("numIds", static_cast<double>(vocab))
                              .attribute("accumulate", 0)
                              .agrees(0));
                }
            }
        }
    }
}

TEST(cuda_bad_ids_are_reported_and_passed_over) {
    Numbers numbers(6);
    Tensor table = numbers.tensor({5, 8}), dy = numbers.tensor({4, 8});
    Tensor ids({4}, CP_I32, {1, 7, -1, 4});
    Comparison forward("embedding"), backward("embeddingBackward");
    forward.input(table).input(ids).output({4, 8});
    backward.input(ids).input(dy).absent().output({5, 8}).attribute("accumulate", 0);
    backward.attribute("first", 0).attribute("numIds", 0);
    for (Comparison* call : {&forward, &backward}) {
        CHECK(call->status() == CP_FAILED);
        CHECK(std::strcmp(call->error().code, "ERR_COMPACT_INDEX") == 0);
        CHECK(std::string(call->error().expected) == "ids from 0 to 4");
        CHECK(std::string(call->error().received) == "7 at position 1");
    }
    // The next run starts afresh.
    Tensor good({4}, CP_I32, {1, 2, 3, 4});
    CHECK(Comparison("embedding").input(table).input(good).output({4, 8}).agrees(0));
}

}  // namespace compact::test
