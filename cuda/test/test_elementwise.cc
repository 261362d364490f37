// Element-wise ops and plumbing. Where the formula has no exponential the bits are the CPU's.
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

const std::vector<int64_t> kCounts = {1, 7, 8, 9, 2048, 2049, 5461};

// One step of the exponential's last place, and the division after it.
constexpr double kExponential = 1e-6;

}  // namespace

TEST(cuda_add_multiply_scale_clip) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : kCounts) {
            Numbers numbers(static_cast<uint64_t>(count));
            Tensor a = numbers.tensor({count}, dtype), b = numbers.tensor({count}, dtype);
            for (const char* op : {"add", "multiply"}) {
                CHECK(Comparison(op).input(a).input(b).output({count}, dtype).agrees(0));
                CHECK(Comparison(op).input(a).input(b).output_on(0).agrees(0));
                CHECK(Comparison(op).input(a).input(b).output_on(1).agrees(0));
            }
            CHECK(Comparison("scale")
                      .input(a)
                      .output({count}, dtype)
                      .attribute("factor", -0.3)
                      .agrees(0));
            CHECK(Comparison("scale").input(a).output_on(0).attribute("factor", 3).agrees(0));
            a.set(0, NAN);
            CHECK(Comparison("clip")
                      .input(a)
                      .output({count}, dtype)
                      .attribute("limit", 0.3)
                      .agrees(0));
            CHECK(Comparison("clip").input(a).output_on(0).attribute("limit", 0.7).agrees(0));
        }
    }
}

// Every bf16, all that lies beside and halfway between two of them, and every kind of NaN.
TEST(cuda_rounding_to_bf16_has_the_cpus_bits) {
    const uint32_t lower_halves[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    Tensor x({int64_t{6} << 16}, CP_F32);
    auto* const singles = static_cast<uint32_t*>(x.view().data);
    for (uint32_t i = 0; i < 6u << 16; ++i) singles[i] = (i / 6) << 16 | lower_halves[i % 6];
    Comparison cast("cast");
    CHECK(cast.input(x).output({x.size()}, CP_BF16).agrees(0));
    const std::string& found = cast.found(0);
    for (uint32_t i = 0; i < 6u << 16; ++i) {
        uint16_t bits;
        std::memcpy(&bits, found.data() + 2 * i, 2);
        const bool is_nan = (singles[i] & 0x7fffffffu) > 0x7f800000u;
        const uint32_t rounded = singles[i] + 0x7fffu + (singles[i] >> 16 & 1u);
        CHECK(bits == (is_nan ? 0x7fffu : rounded >> 16));
    }
}

TEST(cuda_activations) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : kCounts) {
            Numbers numbers(static_cast<uint64_t>(count + 1));
            Tensor x = numbers.tensor({count}, dtype, 4.0), up = numbers.tensor({count}, dtype);
            Tensor dy = numbers.tensor({count}, dtype);
            CHECK(Comparison("silu").input(x).output({count}, dtype).agrees(kExponential));
            CHECK(Comparison("siluBackward").input(x).input(dy).output_on(1).agrees(kExponential));
            CHECK(Comparison("swiglu").input(x).input(up).output_on(0).agrees(kExponential));
            CHECK(Comparison("swiglu")
                      .input(x)
                      .input(up)
                      .output({count}, dtype)
                      .agrees(kExponential));
            CHECK(Comparison("swigluBackward")
                      .input(x)
                      .input(up)
                      .input(dy)
                      .output({count}, dtype)
                      .output({count}, dtype)
                      .agrees(kExponential));
            CHECK(Comparison("swigluBackward")
                      .input(x)
                      .input(up)
                      .input(dy)
                      .output_on(2)
                      .output_on(1)
                      .agrees(kExponential));
            CHECK(Comparison("swigluBackward")
                      .input(x)
                      .input(up)
                      .input(dy)
                      .output_on(0)
                      .output_on(2)
                      .agrees(kExponential));
            CHECK(Comparison("geglu").input(x).input(up).output_on(0).agrees(kExponential));
            CHECK(Comparison("gegluBackward")
                      .input(x)
                      .input(up)
                      .input(dy)
                      .output_on(2)
                      .output_on(1)
                      .agrees(3e-6));
            Tensor within = numbers.tensor({count}, dtype, 0.1);  // every cap
            for (double cap : {1.0, 30.0}) {
                CHECK(Comparison("tanh").input(x).output_on(0).attribute("cap", cap).agrees(3e-6));
                CHECK(Comparison("tanhBackward")
                          .input(within)
                          .input(dy)
                          .output({count}, dtype)
                          .attribute("cap", cap)
                          .agrees(3e-6));
            }
            for (int approximate : {0, 1}) {
                // The CPU's normal distribution function is right to 1e-6 of itself.
                CHECK(Comparison("gelu")
                          .input(x)
                          .output_on(0)
                          .attribute("approximate", approximate)
                          .agrees(3e-6));
                CHECK(Comparison("geluBackward")
                          .input(x)
                          .input(dy)
                          .output_on(1)
                          .attribute("approximate", approximate)
                          .agrees(3e-6));
            }
        }
    }
}

TEST(cuda_activations_of_extremes) {
    for (int32_t dtype : kDtypes) {
        Tensor x({8}, dtype, {-INFINITY, -3e38, -100, -0.0, 0.0, 100, 3e38, NAN});
        Tensor dy({8}, dtype, {1, 1, 1, 1, 1, 1, 1, 1});
        CHECK(Comparison("silu").input(x).output({8}, dtype).agrees(kExponential));
        CHECK(Comparison("gelu")
                  .input(x)
                  .output({8}, dtype)
                  .attribute("approximate", 0)
                  .agrees(3e-6));
        CHECK(Comparison("swiglu").input(x).input(dy).output({8}, dtype).agrees(kExponential));
    }
}

TEST(cuda_bias_and_column_sum) {
    for (int32_t dtype : kDtypes) {
        for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1},
                                            {3, 5},
                                            {17, 64},
                                            {600, 40},
                                            {9, 1031},
                                            {1100, 3}}) {
            Numbers numbers(static_cast<uint64_t>(rows * columns));
            Tensor x = numbers.integers({rows, columns}, dtype);
            Tensor bias = numbers.tensor({columns}, dtype);
            CHECK(Comparison("bias").input(x).input(bias).output({rows, columns}, dtype).agrees(0));
            CHECK(Comparison("bias").input(x).input(bias).output_on(0).agrees(0));
            for (int32_t sum_dtype : kDtypes) {
                Tensor before = numbers.integers({columns}, sum_dtype);
                for (int accumulate : {0, 1}) {
                    CHECK(Comparison("columnSum")
                              .input(x)
                              .input(before)
                              .output_on(1)
                              .attribute("accumulate", accumulate)
                              .agrees(0));
                }
                CHECK(Comparison("columnSum")
                          .input(x)
                          .absent()
                          .output({columns}, sum_dtype)
                          .attribute("accumulate", 0)
                          .agrees(0));
            }
        }
    }
}

TEST(cuda_dropout) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : kCounts) {
            Numbers numbers(static_cast<uint64_t>(count + 2));
            Tensor x = numbers.tensor({count}, dtype);
            for (double probability : {0.0, 0.1, 0.999}) {
                CHECK(Comparison("dropout")
                          .input(x)
                          .output_on(0)
                          .attribute("probability", probability)
                          .attribute("seedLow", 3e9)
                          .attribute("seedHigh", 5)
                          .attribute("tensorId", 9)
                          .attribute("step", 77)
                          .agrees(0));
            }
        }
    }
    Tensor x({4});
    Comparison bad("dropout");
    bad.input(x).output({4}).attribute("probability", 1);
    CHECK(bad.status() == CP_FAILED && std::strcmp(bad.error().code, "ERR_COMPACT_ARGUMENT") == 0);
}

TEST(cuda_cast_copy_fill_select_row) {
    for (int32_t from : kDtypes) {
        for (int64_t count : kCounts) {
            Numbers numbers(static_cast<uint64_t>(count + 3));
            Tensor x = numbers.tensor({count}, from);
            if (count > 3) {
                x.set(0, NAN);
                x.set(1, -INFINITY);
                x.set(2, 1e-39);
            }
            for (int32_t to : kDtypes) {
                CHECK(Comparison("cast").input(x).output({count}, to).agrees(0));
            }
            CHECK(Comparison("cast").input(x).output_on(0).agrees(0));
            CHECK(Comparison("copy").input(x).output({count}, from).agrees(0));
            CHECK(Comparison("fill").output({count}, from).attribute("value", 0.1).agrees(0));
        }
        Tensor x = Numbers(4).tensor({5, 13}, from);
        for (int64_t parts : {1, 5}) {
            CHECK(Comparison("firstRows").input(x).output({parts, 13}, from).agrees(0));
        }
        CHECK(Comparison("firstRowsBackward").input(x).output({15, 13}, from).agrees(0));
        for (int row : {0, 4}) {
            CHECK(Comparison("selectRow")
                      .input(x)
                      .output({1, 13}, from)
                      .attribute("row", row)
                      .agrees(0));
        }
        for (int row : {-1, 5}) {
            Comparison bad("selectRow");
            bad.input(x).output({1, 13}, from).attribute("row", row);
            CHECK(bad.status() == CP_FAILED &&
                  std::strcmp(bad.error().code, "ERR_COMPACT_INDEX") == 0);
        }
    }
}

TEST(cuda_random_normal) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : kCounts) {
            CHECK(Comparison("randomNormal")
                      .output({count}, dtype)
                      .attribute("seedLow", 1)
                      .attribute("seedHigh", 2)
                      .attribute("tensorId", 3)
                      .attribute("standardDeviation", 0.02)
                      .agrees(0));
        }
    }
}

// Some elements are thresholds themselves.
TEST(cuda_segments) {
    for (int32_t dtype : kDtypes) {
        for (int64_t count : kCounts) {
            Numbers numbers(static_cast<uint64_t>(count + 3));
            Tensor x = numbers.tensor({count}, dtype, 4.0), dy = numbers.tensor({count}, dtype);
            for (int64_t i = 4; i < count; i += 9) x.set(i, 0.25);
            if (count > 100) x.set(50, NAN);
            const int64_t bytes = (count + 3) / 4;
            Comparison there("segments");
            there.input(x).output({bytes}, CP_U8).attribute("threshold1", -1.5);
            there.attribute("threshold2", 0.25).attribute("threshold3", 3);
            CHECK(there.agrees(0));
            Tensor codes({bytes}, CP_U8);
            std::memcpy(codes.view().data, there.found(0).data(), there.found(0).size());
            for (bool in_place : {false, true}) {
                Comparison back("segmentsBackward");
                back.input(codes).input(dy).attribute("slope1", -0.3);
                back.attribute("slope2", 1.1).attribute("slope3", 0.7);
                if (in_place) {
                    back.output_on(1);
                } else {
                    back.output({count}, dtype);
                }
                CHECK(back.agrees(0));
            }
        }
    }
}

TEST(cuda_quantize_and_dequantize) {
    for (int32_t dtype : kDtypes) {
        for (int64_t group : {1, 5, 32, 256, 3000}) {
            for (int64_t count : sizes(kCounts, {3, 5})) {
                const int64_t groups = (count + group - 1) / group;
                Numbers numbers(static_cast<uint64_t>(count + group));
                Tensor x = numbers.tensor({count}, dtype);
                if (count > 2000) {
                    for (int64_t i = 300; i < 700; ++i) x.set(i, 0.0);
                    x.set(1100, NAN);
                    x.set(1500, INFINITY);
                    x.set(1700, 1e-45);
                }
                Comparison quantize("quantize");
                quantize.input(x).output({count}, CP_I8).output({groups});
                CHECK(quantize.attribute("groupSize", static_cast<double>(group)).agrees(0));
                Tensor codes({count}, CP_I8), scales({groups});
                std::memcpy(codes.view().data, quantize.found(0).data(), quantize.found(0).size());
                std::memcpy(scales.view().data, quantize.found(1).data(), quantize.found(1).size());
                CHECK(Comparison("dequantize")
                          .input(codes)
                          .input(scales)
                          .output({count}, dtype)
                          .attribute("groupSize", static_cast<double>(group))
                          .agrees(0));
            }
        }
    }
}

}  // namespace compact::test
