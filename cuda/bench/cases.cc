#include "cuda/bench/cases.h"

#include <cmath>

namespace compact::bench {
namespace {

using Shape = std::vector<int64_t>;

std::string words(const Shape& shape) {
    std::string text;
    for (int64_t extent : shape) text += (text.empty() ? "" : "x") + std::to_string(extent);
    return text;
}

double elements(const Shape& shape) {
    double count = shape.empty() ? 0.0 : 1.0;
    for (int64_t extent : shape) count *= static_cast<double>(extent);
    return count;
}

double bytes(const Operand& operand) {
    return elements(operand.shape) * (operand.dtype == CP_BF16 ? 2.0 : 4.0);
}

Operand bf16(Shape shape) { return {std::move(shape)}; }
Operand f32(Shape shape) { return {std::move(shape), CP_F32}; }
Operand in_place(Operand operand, int input) {
    operand.same_as_input = input;
    return operand;
}
Operand absent() { return {{}, CP_BF16, Contents::kNothing}; }
Operand tokens(int64_t count) { return {{count}, CP_I32, Contents::kTokens}; }
CpAttribute attribute(const char* name, double value) { return {name, value, -1}; }

class Cases {
  public:
    explicit Cases(const Sizes& sizes) : s_(sizes) {}

    std::vector<KernelCase> all() {
        projections();
        products();
        optimizers();
        rows();
        attention();
        loss();
        return std::move(cases_);
    }

  private:
    // Bytes are those of all operands; a caller corrects what is gathered from.
    KernelCase& add(const char* kernel, const char* op, std::vector<Operand> inputs,
                    std::vector<Operand> outputs, double flops,
                    std::vector<CpAttribute> attributes = {}) {
        KernelCase result{kernel,
                          op,
                          words(inputs.empty() ? outputs[0].shape : inputs[0].shape),
                          std::move(inputs),
                          std::move(outputs),
                          std::move(attributes),
                          flops,
                          0.0};
        for (const Operand& operand : result.inputs) result.bytes += bytes(operand);
        for (const Operand& operand : result.outputs) result.bytes += bytes(operand);
        cases_.push_back(std::move(result));
        return cases_.back();
    }

    // Made in groups of eight columns.
    void panel(int64_t rows, int64_t columns) {
        add("P panel", "panel", {}, {bf16({rows, (columns + 7) / 8 * 8})}, 0.0);
    }

    void projections() {
        panel(s_.hidden, s_.rank);
        panel(s_.ffn, s_.ffn / 4);
        const double flops = 2.0 * product(s_.tokens, s_.hidden, s_.rank);
        add("z = x P", "project", {bf16({s_.tokens, s_.hidden})}, {bf16({s_.tokens, s_.rank})},
            flops, projection_attributes())
            .shape += "x" + std::to_string(s_.rank);
    }

    void products() {
        const int64_t n = s_.hidden, m = s_.out, t = s_.tokens, r = s_.rank;
        matmul("y = x W", {t, n}, {n, m}, {t, m}, n, 0, 0, CP_BF16);
        matmul("dX = dY W^T", {t, m}, {n, m}, {t, n}, m, 0, 1, CP_BF16);
        matmul("dW = x^T dY", {t, n}, {t, m}, {n, m}, t, 1, 0, CP_F32);
        matmul("compressed gradient z^T dY", {t, r}, {t, m}, {r, m}, t, 1, 0, CP_F32);
        // q, k and v of the 350M model at a quarter: few tiles, a long inner dimension.
        matmul("compressed gradient z^T dY", {t, r / 4}, {t, 3 * m / 4}, {r / 4, 3 * m / 4}, t, 1,
               0, CP_F32);
    }

    void matmul(const char* kernel, Shape a, Shape b, Shape c, int64_t inner, int transpose_a,
                int transpose_b, int32_t c_dtype) {
        const double flops = 2.0 * elements(c) * static_cast<double>(inner);
        const std::string columns = std::to_string(c[1]);
        add(kernel, "matmul", {bf16(std::move(a)), bf16(std::move(b)), absent()},
            {Operand{std::move(c), c_dtype}}, flops,
            {attribute("transposeA", transpose_a), attribute("transposeB", transpose_b),
             attribute("alpha", 1), attribute("accumulate", 0)})
            .shape += "x" + columns;
    }

    void optimizers() {
        const Shape weight{s_.hidden, s_.out}, low{s_.rank, s_.out};
        std::vector<CpAttribute> attributes = projection_attributes();
        for (const CpAttribute& more :
             {attribute("learningRate", 1e-4), attribute("updateScale", 0.25),
              attribute("weightDecay", 0.01), attribute("stochasticRounding", 1),
              attribute("roundingSeed", 3), attribute("step", 5)}) {
            attributes.push_back(more);
        }
        add("update W -= s P N", "projectBackUpdate", {bf16(weight), bf16(low)},
            {in_place(bf16(weight), 0)}, 2.0 * product(s_.hidden, s_.out, s_.rank), attributes)
            .shape += " rank " + std::to_string(s_.rank);
        Operand squares = f32(low);
        squares.contents = Contents::kPositive;
        add("low-rank Adam", "adamDirection", {f32(low), f32(low), squares, absent()},
            {bf16(low), in_place(f32(low), 1), in_place(f32(low), 2)}, 12.0 * elements(low),
            {attribute("beta1", 0.9), attribute("beta2", 0.999), attribute("epsilon", 1e-6),
             attribute("firstMomentStep", 5), attribute("secondMomentStep", 5)});
        squares.shape = weight;
        add("AdamW", "adamW", {bf16(weight), f32(weight), f32(weight), squares, absent()},
            {in_place(bf16(weight), 0), in_place(f32(weight), 2), in_place(f32(weight), 3)},
            12.0 * elements(weight),
            {attribute("learningRate", 1e-4), attribute("updateScale", 1), attribute("beta1", 0.9),
             attribute("beta2", 0.999), attribute("epsilon", 1e-8), attribute("weightDecay", 0.01),
             attribute("step", 5), attribute("stochasticRounding", 1), attribute("roundingSeed", 3),
             attribute("tensorId", 7)});
    }

    void rows() {
        const Shape x{s_.tokens, s_.hidden}, wide{s_.tokens, s_.ffn};
        const Operand weight = bf16({s_.hidden}), rstd = f32({s_.tokens});
        add("copy", "copy", {bf16(x)}, {bf16(x)}, 0.0);
        add("residual add", "add", {bf16(x), bf16(x)}, {bf16(x)}, elements(x));
        add("RMSNorm", "rmsNorm", {bf16(x), weight}, {bf16(x), rstd}, 4.0 * elements(x),
            {attribute("epsilon", 1e-6)});
        add("RMSNorm with residual", "addRmsNorm", {bf16(x), bf16(x), weight},
            {bf16(x), bf16(x), rstd}, 5.0 * elements(x), {attribute("epsilon", 1e-6)});
        add("RMSNorm backward", "rmsNormBackward",
            {bf16(x), weight, rstd, bf16(x), bf16(x), absent()}, {bf16(x), f32({s_.hidden})},
            10.0 * elements(x), {attribute("accumulate", 0)});
        add("rotary embedding", "rope",
            {bf16(x), f32({s_.sequence, s_.head / 2}), f32({s_.sequence, s_.head / 2})}, {bf16(x)},
            3.0 * elements(x), {attribute("headSize", s_.head), attribute("inverse", 0)});
        add("SwiGLU", "swiglu", {bf16(wide), bf16(wide)}, {bf16(wide)}, 5.0 * elements(wide));
        add("SwiGLU backward", "swigluBackward", {bf16(wide), bf16(wide), bf16(wide)},
            {bf16(wide), bf16(wide)}, 10.0 * elements(wide));
    }

    // Half of the scores of a causal sequence are computed.
    void attention() {
        const Shape x{s_.tokens, s_.hidden}, lse{s_.tokens, s_.hidden / s_.head};
        const std::vector<CpAttribute> attributes = {
            attribute("sequenceLength", s_.sequence), attribute("headSize", s_.head),
            attribute("causal", 1), attribute("window", 0),
            attribute("scale", 1.0 / std::sqrt(static_cast<double>(s_.head)))};
        const double product_flops = elements(x) * static_cast<double>(s_.sequence);
        const std::string shape = " sequence " + std::to_string(s_.sequence);
        add("attention", "attention", {bf16(x), bf16(x), bf16(x), absent()}, {bf16(x), f32(lse)},
            2.0 * product_flops, attributes)
            .shape += shape;
        add("attention backward", "attentionBackward",
            {bf16(x), bf16(x), bf16(x), bf16(x), f32(lse), bf16(x), absent()},
            {bf16(x), bf16(x), bf16(x)}, 5.0 * product_flops, attributes)
            .shape += shape;
    }

    void loss() {
        const Shape x{s_.tokens, s_.hidden}, weight{s_.hidden, s_.vocabulary};
        add("output layer, loss and gradients", "linearCrossEntropyBackward",
            {bf16(x), bf16(weight), tokens(s_.tokens), absent()}, {f32({1}), bf16(x), f32(weight)},
            6.0 * product(s_.tokens, s_.hidden, s_.vocabulary),
            {attribute("lossScale", 1.0 / static_cast<double>(s_.tokens)),
             attribute("ignoreIndex", -100), attribute("chunkTokens", 1024),
             attribute("accumulate", 0)})
            .shape += "x" + std::to_string(s_.vocabulary);
    }

    static double product(int64_t a, int64_t b, int64_t c) {
        return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
    }
    static std::vector<CpAttribute> projection_attributes() {
        return {attribute("seedLow", 1), attribute("seedHigh", 0), attribute("tensorId", 0),
                attribute("epoch", 0), attribute("distribution", 0)};
    }

    Sizes s_;
    std::vector<KernelCase> cases_;
};

}  // namespace

std::vector<KernelCase> kernel_cases(const Sizes& sizes) { return Cases(sizes).all(); }

}  // namespace compact::bench
