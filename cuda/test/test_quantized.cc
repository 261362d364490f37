// Quantised matrices: codes are the CPU's, products agree with those of the CPU and have the bits
// of our own products with numbers.
#include <array>

#include "cuda/test/comparison.h"
#include "native/base/fp8.h"

namespace compact::test {
namespace {

void set_contents(Tensor& tensor, const std::string& contents) {
    std::memcpy(tensor.view().data, contents.data(), contents.size());
}

std::vector<int64_t> spans_of(int64_t rows, int64_t columns, int64_t width) {
    return {(rows * (columns + columns % 2) + 16383) / 16384, width};
}

}  // namespace

TEST(cuda_quantize_nf4_and_dequantize_nf4) {
    const std::vector<std::array<int64_t, 2>> shapes = {{1, 2}, {3, 41}, {9, 130}, {40, 1031}};
    for (int32_t dtype : kDtypes) {
        for (const auto& [rows, columns] : sizes(shapes, {1, 3})) {
            Numbers numbers(static_cast<uint64_t>(rows + columns));
            Tensor x = numbers.tensor({rows, columns}, dtype);
            if (x.size() > 2000) {
                for (int64_t i = 300; i < 700; ++i) x.set(i, 0.0);
                x.set(17000, NAN);
                x.set(33000, INFINITY);
            }
            Tensor codes({rows, (columns + 1) / 2}, CP_U8);
            Tensor magnitudes(spans_of(rows, columns, 256), CP_U8);
            Tensor ranges(spans_of(rows, columns, 2));
            Comparison there("quantizeNf4");
            there.input(x).output({rows, (columns + 1) / 2}, CP_U8);
            there.output(spans_of(rows, columns, 256), CP_U8).output(spans_of(rows, columns, 2));
            CHECK(there.agrees(0));
            set_contents(codes, there.found(0));
            set_contents(magnitudes, there.found(1));
            set_contents(ranges, there.found(2));
            Comparison back("dequantizeNf4");
            back.input(codes).input(magnitudes).input(ranges).output({rows, columns}, dtype);
            CHECK(back.agrees(0));
        }
    }
}

// Every code of E4M3 and the numbers in the middle between two, beside random ones.
TEST(cuda_quantize_fp8_and_dequantize_fp8) {
    for (int32_t dtype : kDtypes) {
        for (int64_t group : {1, 5, 256, 3000}) {
            for (int64_t count : sizes(std::vector<int64_t>{1, 33, 4099}, {1})) {
                const int64_t groups = (count + group - 1) / group;
                Numbers numbers(static_cast<uint64_t>(count + group));
                Tensor x = numbers.tensor({count}, dtype);
                for (int64_t i = 2; i < count && i < 258; ++i) {
                    x.set(i, fp8_to_float(static_cast<uint8_t>((i - 2) % 127)));
                }
                if (count > 2000) {
                    for (int64_t i = 1; i < 127; ++i) {
                        const double below = fp8_to_float(static_cast<uint8_t>(i - 1));
                        x.set(512 + i, (below + fp8_to_float(static_cast<uint8_t>(i))) / 2);
                    }
                    x.set(512, 448.0);
                    for (int64_t i = 3000; i < 3400; ++i) x.set(i, 0.0);
                    x.set(3500, NAN);
                    x.set(3800, INFINITY);
                    x.set(4090, 1e-45);
                }
                Comparison there("quantizeFp8");
                there.input(x).output({count}, CP_U8).output({groups});
                CHECK(there.attribute("groupSize", static_cast<double>(group)).agrees(0));
                Tensor codes({count}, CP_U8), scales({groups});
                set_contents(codes, there.found(0));
                set_contents(scales, there.found(1));
                CHECK(Comparison("dequantizeFp8")
                          .input(codes)
                          .input(scales)
                          .output({count}, dtype)
                          .attribute("groupSize", static_cast<double>(group))
                          .agrees(0));
            }
        }
    }
}

// Aligned rows and others, a split of the inner dimension, both orientations.
TEST(cuda_products_with_codes) {
    struct Shape {
        int64_t m, rows, columns;
    };
    const std::vector<Shape> shapes = {{1, 1, 2}, {130, 33, 7}, {65, 1104, 64}, {7, 70, 133}};
    for (int32_t dtype : kDtypes) {
        for (const auto& [m, rows, columns] : sizes(shapes, {1, 2})) {
            for (int variant = 0; variant < 4; ++variant) {
                const bool nf4 = (variant & 1) != 0, transposed = (variant & 2) != 0;
                constexpr int64_t kGroup = 64;
                Numbers numbers(static_cast<uint64_t>(m + rows));
                Tensor a = numbers.tensor({m, transposed ? columns : rows}, dtype);
                const int64_t row_bytes = nf4 ? (columns + 1) / 2 : columns;
                Tensor codes = numbers.tensor({rows, row_bytes}, nf4 ? CP_U8 : CP_I8, 1);
                for (int64_t i = 0; i < codes.size(); ++i) {
                    codes.set(i, std::floor(numbers.uniform() * (nf4 ? 256 : 127)));
                }
                Tensor magnitudes(spans_of(rows, columns, 256), CP_U8);
                for (int64_t i = 0; i < magnitudes.size(); ++i) magnitudes.set(i, i % 256);
                Tensor scales(nf4 ? spans_of(rows, columns, 2)
                                  : std::vector{(rows * columns + kGroup - 1) / kGroup});
                for (int64_t i = 0; i < scales.size(); ++i) scales.set(i, 0.01 + 1e-5 * i);
                const auto operands = [&](Comparison& call) {
                    call.input(codes);
                    if (nf4) call.input(magnitudes);
                    call.input(scales);
                    if (!nf4) call.attribute("groupSize", kGroup);
                };
                Comparison decoded(nf4 ? "dequantizeNf4" : "dequantize");
                operands(decoded);
                CHECK(decoded.output({rows, columns}, dtype).agrees(0));
                Tensor w({rows, columns}, dtype);
                set_contents(w, decoded.found(0));
                for (int32_t c_dtype : kDtypes) {
                    const std::vector<int64_t> c_shape = {m, transposed ? rows : columns};
                    Comparison coded(nf4 ? "matmulNf4" : "matmulInt8"), plain("matmul");
                    coded.input(a);
                    operands(coded);
                    coded.attribute("transposeB", transposed).output(c_shape, c_dtype);
                    plain.input(a).input(w).absent().absent().attribute("transposeA", 0);
                    plain.attribute("transposeB", transposed).attribute("alpha", 1);
                    plain.attribute("accumulate", 0).output(c_shape, c_dtype);
                    // Sums of k products in another order.
                    CHECK(coded.agrees(2e-5) && plain.agrees(2e-5));
                    CHECK(coded.found(0) == plain.found(0));
                }
            }
        }
    }
}

TEST(cuda_weight_update_int8) {
    for (int32_t dtype : kDtypes) {
        for (int64_t group : {8, 100, 256, 3000}) {
            const int64_t count = 5000, groups = (count + group - 1) / group;
            Numbers numbers(static_cast<uint64_t>(group));
            Tensor codes({count}, CP_I8), scales({groups});
            for (int64_t i = 0; i < count; ++i) {
                codes.set(i, std::floor(numbers.uniform() * 255) - 127);
            }
            for (int64_t i = 0; i < groups; ++i) scales.set(i, i % 5 == 0 ? 0.0 : 0.01);
            Tensor direction = numbers.tensor({count}, dtype), clipping({1}, CP_F32, {0.5});
            Comparison call("weightUpdateInt8");
            call.input(codes).input(scales).input(direction).input(clipping);
            call.output_on(0).output_on(1).attribute("groupSize", static_cast<double>(group));
            call.attribute("learningRate", 0.1).attribute("updateScale", 0.5);
            call.attribute("weightDecay", 2).attribute("step", 4).attribute("roundingSeed", 6);
            CHECK(call.attribute("tensorId", 7).agrees(0));
        }
    }
}

TEST(cuda_layers_with_a_table_in_int8) {
    constexpr int64_t kVocab = 70, kTokens = 9, kGroup = 32;
    for (int32_t dtype : kDtypes) {
        for (int64_t width : {5, 64}) {
            Numbers numbers(static_cast<uint64_t>(width));
            Tensor codes({kVocab, width}, CP_I8), ids({kTokens}, CP_I32);
            Tensor scales({(kVocab * width + kGroup - 1) / kGroup});
            for (int64_t i = 0; i < codes.size(); ++i) codes.set(i, i * 7 % 251 - 125);
            for (int64_t i = 0; i < scales.size(); ++i) scales.set(i, 1e-3 + 1e-5 * i);
            for (int64_t i = 0; i < kTokens; ++i) ids.set(i, i * 31 % kVocab);
            Comparison rows("embeddingInt8");
            rows.input(codes).input(scales).input(ids).output({kTokens, width}, dtype);
            CHECK(rows.attribute("groupSize", kGroup).agrees(0));
            Tensor x = numbers.tensor({kTokens, width}, dtype);
            const auto loss = [&](const char* op, bool backward) {
                Comparison call(op);
                call.input(x).input(codes).input(scales).attribute("groupSize", kGroup);
                call.input(ids).output({1});
                if (backward) call.output({kTokens, width}, dtype);
                call.attribute("lossScale", 0.5).attribute("ignoreIndex", -100);
                return call.attribute("chunkTokens", 4).agrees(dtype == CP_BF16 ? 1e-2 : 1e-5);
            };
            CHECK(loss("linearCrossEntropyInt8", false));
            CHECK(loss("linearCrossEntropyInt8Backward", true));
        }
    }
}

}  // namespace compact::test
