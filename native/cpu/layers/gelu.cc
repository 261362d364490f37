// gelu: y = x Phi(x) with the normal distribution function Phi, or its tanh form
// Phi(x) ~ (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3); and the gradients.
// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016.
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

constexpr float kTwoRootTwoOverPi = 1.5957691216f;  // 2 sqrt(2/pi)
constexpr float kCubic = 0.044715f;
constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)

struct Exact {
    static Vec value(Vec x) { return x * normal_cdf(x); }
    static Vec slope(Vec x) {
        const Vec density = splat(kDensity) * exp(splat(-0.5f) * x * x);
        return fma(x, density, normal_cdf(x));
    }
};

struct Approximate {
    static Vec gate(Vec x) {
        const Vec inner = fma(splat(kCubic) * x, x, splat(1.0f));
        return sigmoid(splat(kTwoRootTwoOverPi) * x * inner);
    }
    static Vec value(Vec x) { return x * gate(x); }
    static Vec slope(Vec x) {
        const Vec s = gate(x);
        const Vec inner = splat(kTwoRootTwoOverPi) * fma(splat(3.0f * kCubic) * x, x, splat(1.0f));
        return fma(x * inner, s * (splat(1.0f) - s), s);
    }
};

template <class Body>
void with_form(const CpCall& call, Body body) {
    if (attribute(call, "approximate") != 0.0) {
        body(Approximate{});
    } else {
        body(Exact{});
    }
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        with_form(*call, [&](auto form) {
            for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
                store(y + i, form.value(load(x + i, lanes)), lanes);
            });
        });
    });
    return CP_OK;
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        const T* dy = data<T>(call->inputs[1]);
        T* dx = data<T>(output);
        with_form(*call, [&](auto form) {
            for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
                store(dx + i, load(dy + i, lanes) * form.slope(load(x + i, lanes)), lanes);
            });
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kGeluOp = {"gelu", no_workspace, nullptr, run_forward};
const CpOp kGeluBackwardOp = {"geluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact::COMPACT_ISA
