// Element-wise ops against fp64 over awkward sizes, and every alias that they allow.
#include <algorithm>

#include "native/base/op_table.h"
#include "native/base/philox.h"
#include "native/test/op_test.h"

namespace compact::test {
namespace {

constexpr int64_t kSizes[] = {1, 7, 16, 41, 4097, 70001};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double tanh_gate(double x) {
    return 0.5 * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}
double slope(double (*function)(double), double x) {
    const double step = 1e-5;
    return (function(x + step) - function(x - step)) / (2 * step);
}
double silu(double x) { return x * sigmoid(x); }
double gelu(double x) { return x * normal_cdf(x); }
double gelu_tanh(double x) { return x * tanh_gate(x); }

using Function = std::function<double(const std::vector<double>&)>;

struct Op {
    const char* name;
    std::vector<const char*> inputs, outputs;
    std::vector<Function> functions;  // one per output
    std::vector<std::pair<const char*, double>> attributes;
};

const std::vector<Op>& ops() {
    using V = const std::vector<double>&;
    static const std::vector<Op> all = {
        {"add", {"a", "b"}, {"y"}, {[](V x) { return x[0] + x[1]; }}, {}},
        {"multiply", {"a", "b"}, {"y"}, {[](V x) { return x[0] * x[1]; }}, {}},
        {"scale", {"x"}, {"y"}, {[](V x) { return -0.75 * x[0]; }}, {{"factor", -0.75}}},
        {"clip",
         {"x"},
         {"y"},
         {[](V x) { return std::min(0.25, std::max(-0.25, x[0])); }},
         {{"limit", 0.25}}},
        {"silu", {"x"}, {"y"}, {[](V x) { return silu(x[0]); }}, {}},
        {"siluBackward", {"x", "dy"}, {"dx"}, {[](V x) { return x[1] * slope(silu, x[0]); }}, {}},
        {"gelu", {"x"}, {"y"}, {[](V x) { return gelu(x[0]); }}, {{"approximate", 0}}},
        {"gelu", {"x"}, {"y"}, {[](V x) { return gelu_tanh(x[0]); }}, {{"approximate", 1}}},
        {"geluBackward",
         {"x", "dy"},
         {"dx"},
         {[](V x) { return x[1] * slope(gelu, x[0]); }},
         {{"approximate", 0}}},
        {"geluBackward",
         {"x", "dy"},
         {"dx"},
         {[](V x) { return x[1] * slope(gelu_tanh, x[0]); }},
         {{"approximate", 1}}},
        {"swiglu", {"gate", "up"}, {"y"}, {[](V x) { return silu(x[0]) * x[1]; }}, {}},
        {"swigluBackward",
         {"gate", "up", "dy"},
         {"dGate", "dUp"},
         {[](V x) { return x[2] * x[1] * slope(silu, x[0]); },
          [](V x) { return x[2] * silu(x[0]); }},
         {}},
    };
    return all;
}

// Runs an op with output i in the memory of input alias[i] (-1: its own) and compares.
void run_op(const Op& op, int64_t size, int32_t dtype, const std::vector<int>& alias) {
    Numbers numbers(static_cast<uint64_t>(size));
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < op.inputs.size(); ++i)
        inputs.push_back(numbers.tensor({size}, dtype, 3.0));
    std::vector<std::vector<double>> expected(op.outputs.size());
    for (int64_t e = 0; e < size; ++e) {
        std::vector<double> arguments;
        for (Tensor& input : inputs) arguments.push_back(input.get(e));
        for (size_t i = 0; i < op.outputs.size(); ++i) {
            expected[i].push_back(op.functions[i](arguments));
        }
    }
    for_every_device([&](CpDevice& device) {
        std::vector<Tensor> memory = inputs;
        for (size_t i = 0; i < op.outputs.size(); ++i)
            memory.emplace_back(std::vector{size}, dtype);
        OpCall call(op.name);
        for (size_t i = 0; i < op.inputs.size(); ++i) call.input(memory[i]);
        std::vector<Tensor*> outputs;
        for (size_t i = 0; i < op.outputs.size(); ++i) {
            outputs.push_back(
                &memory[alias[i] >= 0 ? static_cast<size_t>(alias[i]) : op.inputs.size() + i]);
            call.output(*outputs.back());
        }
        for (const auto& [name, value] : op.attributes) call.attribute(name, value);
        CHECK(call.run(device) == CP_OK);
        std::string contents;
        for (size_t i = 0; i < outputs.size(); ++i) {
            // Products of functions with errors of a few fp32 roundings, and 1 - sigmoid(x), which
            // loses digits where x is large. The twin's numerical derivative is good to 1e-9.
            if (!CHECK(close(*outputs[i], expected[i], 2e-6)))
                std::printf("      in %s\n", op.name);
            contents += outputs[i]->contents();
        }
        return contents;
    });
}

int input_index(const Op& op, const char* name) {
    for (size_t i = 0; i < op.inputs.size(); ++i) {
        if (std::strcmp(op.inputs[i], name) == 0) return static_cast<int>(i);
    }
    return -1;
}

}  // namespace

TEST(elementwise_agrees_with_fp64) {
    for (const Op& op : ops()) {
        for (int64_t size : kSizes) {
            for (int32_t dtype : kDtypes) run_op(op, size, dtype, {-1, -1});
        }
    }
}

TEST(elementwise_in_place) {
    for (const Op& op : ops()) {
        // Every pair of allowed places of the outputs, as long as they differ.
        std::vector<std::vector<int>> places(2, {-1});
        for (const OpAlias& alias : kOpAliases) {
            if (std::strcmp(alias.op, op.name) != 0) continue;
            for (size_t i = 0; i < op.outputs.size(); ++i) {
                if (std::strcmp(alias.output, op.outputs[i]) == 0) {
                    places[i].push_back(input_index(op, alias.input));
                }
            }
        }
        CHECK(places[0].size() > 1);
        for (int first : places[0]) {
            for (int second : places[1]) {
                if (first == second && first >= 0) continue;
                for (int32_t dtype : kDtypes) run_op(op, 41, dtype, {first, second});
            }
        }
    }
}

// Relative error where the values are small: sums hide what a division or a tail loses.
TEST(exponential_keeps_relative_accuracy) {
    std::vector<double> points;
    for (double x = -86.0; x < 88.0; x += 0.0371) points.push_back(x);
    const auto size = static_cast<int64_t>(points.size());
    for_every_device([&](CpDevice& device) {
        // silu(x) / x = 1 / (1 + e^-x), which is e^x for very negative x.
        Tensor x({size}, CP_F32, points), y({size});
        OpCall call("silu");
        call.input(x).output(y);
        CHECK(call.run(device) == CP_OK);
        double worst = 0.0;
        for (int64_t i = 0; i < size; ++i) {
            const double expected = silu(x.get(i));
            worst = std::max(worst, std::fabs(y.get(i) - expected) / std::fabs(expected));
        }
        CHECK(worst < 6e-7);  // exp 1.5e-7, a sum, a division, a product
        return y.contents();
    });
}

TEST(activations_of_special_values) {
    const std::vector<double> points = {NAN, INFINITY, 0.0, -0.0, 200.0, -200.0, 1e30, -1e30};
    for_every_device([&](CpDevice& device) {
        for (const char* op : {"silu", "gelu"}) {
            Tensor x({8}, CP_F32, points), y({8});
            OpCall call(op);
            call.input(x).output(y).attribute("approximate", 0);
            CHECK(call.run(device) == CP_OK);
            CHECK(std::isnan(y.get(0)) && y.get(1) == INFINITY && y.get(2) == 0.0 &&
                  y.get(3) == 0.0);
            CHECK(y.get(4) == 200.0 && y.get(5) == 0.0 && y.get(6) == x.get(6) && y.get(7) == 0.0);
        }
        return std::string();
    });
}

TEST(dropout_is_a_function_of_the_counter) {
    const int64_t size = 70001;
    const double probability = 0.3;
    for (int32_t dtype : kDtypes) {
        Numbers numbers(31);
        Tensor x = numbers.tensor({size}, dtype);
        x.set(3, INFINITY);
        std::vector<double> expected;
        for (int64_t e = 0; e < size; ++e) {
            const PhiloxWords words = philox({{static_cast<uint32_t>(e / 4), 0, 77, 9}}, 5, 6);
            const bool kept = words.word[e % 4] >= probability * 0x1p32;
            expected.push_back(kept ? x.get(e) * static_cast<float>(1.0 / 0.7) : 0.0);
        }
        Tensor rounded({size}, dtype);
        for (int64_t e = 0; e < size; ++e) {
            rounded.set(e, static_cast<float>(expected[static_cast<size_t>(e)]));
        }
        for (bool in_place : {false, true}) {
            for_every_device([&](CpDevice& device) {
                Tensor y = in_place ? x : Tensor({size}, dtype);
                Tensor from = x;
                OpCall call("dropout");
                call.input(in_place ? y : from).output(y);
                call.attribute("probability", probability).attribute("seedLow", 5);
                call.attribute("seedHigh", 6).attribute("tensorId", 77).attribute("step", 9);
                CHECK(call.run(device) == CP_OK);
                CHECK(close(y, rounded.values(), 0.0) || !std::isfinite(x.get(3)));
                CHECK(y.contents() == rounded.contents());
                return y.contents();
            });
        }
    }
}

TEST(cast_copy_fill_select) {
    for_every_device([&](CpDevice& device) {
        const std::vector<double> values = {1.00390625, 1.01171875, NAN,  -INFINITY,
                                            3e38,       3.4e38,     1e-40};
        Tensor x({7}, CP_F32, values), narrow({7}, CP_BF16), wide({7});
        OpCall down("cast"), up("cast");
        CHECK(down.input(x).output(narrow).run(device) == CP_OK);
        CHECK(up.input(narrow).output(wide).run(device) == CP_OK);
        CHECK(wide.get(0) == 1.0 && wide.get(1) == 1.015625);  // ties to even
        CHECK(std::isnan(wide.get(2)) && wide.get(3) == -INFINITY && wide.get(5) == INFINITY);
        CHECK(narrow.contents() == Tensor({7}, CP_BF16, x.values()).contents());
        Numbers numbers(32);
        Tensor matrix = numbers.tensor({50, 1031}), copy({50, 1031}), row({1, 1031}),
               filled({77}, CP_BF16);
        OpCall copying("copy"), filling("fill"), selecting("selectRow"), beyond("selectRow");
        CHECK(copying.input(matrix).output(copy).run(device) == CP_OK);
        CHECK(copy.contents() == matrix.contents());
        CHECK(filling.output(filled).attribute("value", 0.1).run(device) == CP_OK);
        for (int64_t i = 0; i < 77; ++i) CHECK(filled.get(i) == 0.10009765625);
        CHECK(selecting.input(matrix).output(row).attribute("row", 49).run(device) == CP_OK);
        for (int64_t i = 0; i < 1031; ++i) CHECK(row.get(i) == matrix.get(49 * 1031 + i));
        CHECK(beyond.input(matrix).output(row).attribute("row", 50).run(device) == CP_FAILED);
        CHECK(std::strcmp(beyond.error().code, "ERR_COMPACT_INDEX") == 0);
        return wide.contents() + copy.contents() + filled.contents() + row.contents();
    });
}

TEST(quantize_and_back) {
    const int64_t size = 1000, group = 77, groups = 13;
    for (int32_t dtype : kDtypes) {
        Numbers numbers(33);
        Tensor x = numbers.tensor({size}, dtype);
        for (int64_t i = 0; i < group; ++i) x.set(i, 0.0);                            // scale 0
        for (int64_t i = group; i < 2 * group; ++i) x.set(i, i % 2 ? 3e-45 : 1e-43);  // subnormal
        x.set(5 * group + 3, INFINITY);
        x.set(6 * group + 3, NAN);
        for_every_device([&](CpDevice& device) {
            Tensor codes({size}, CP_I8), scales({groups}), y({size}, dtype);
            OpCall there("quantize"), back("dequantize");
            there.input(x).output(codes).output(scales).attribute("groupSize", group);
            back.input(codes).input(scales).output(y).attribute("groupSize", group);
            CHECK(there.run(device) == CP_OK && back.run(device) == CP_OK);
            for (int64_t g = 0; g < groups; ++g) {
                double largest = 0.0;
                const int64_t end = std::min(size, (g + 1) * group);
                for (int64_t i = g * group; i < end; ++i)
                    largest = std::max(largest, std::fabs(x.get(i)));
                const bool lost = g == 5 || g == 6;
                CHECK(lost ? !std::isfinite(scales.get(g))
                           : scales.get(g) == static_cast<float>(largest) / 127.0f);
                for (int64_t i = g * group; i < end && g != 1; ++i) {
                    if (lost || largest == 0.0) {
                        CHECK(codes.get(i) == 0 && (lost ? std::isnan(y.get(i)) : y.get(i) == 0.0));
                        continue;
                    }
                    const float ratio =
                        static_cast<float>(x.get(i)) / static_cast<float>(scales.get(g));
                    CHECK(codes.get(i) == std::nearbyint(ratio));
                    CHECK(std::fabs(y.get(i) - x.get(i)) <= largest * (0.5 / 127 + 0x1p-8));
                }
            }
            for (int64_t i = 0; i < size; ++i) CHECK(std::fabs(codes.get(i)) <= 127);
            return codes.contents() + scales.contents() + y.contents();
        });
    }
    Tensor x({size}), codes({size}, CP_I8), scales({groups + 1});
    OpCall wrong("quantize");
    wrong.input(x).output(codes).output(scales).attribute("groupSize", group);
    CHECK(wrong.check() == CP_FAILED);
}

}  // namespace compact::test
