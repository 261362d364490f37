// gelu: y = x Phi(x) with the normal distribution function Phi, or its tanh form
// Phi(x) ~ (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3); and the gradients.
// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016.
// Two and three accesses per element; limit: memory bandwidth.
#include "cuda/layers/activation.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

constexpr float kTwoRootTwoOverPi = 1.5957691216f;  // 2 sqrt(2/pi)
constexpr float kCubic = 0.044715f;
constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)

struct Exact {
    // By erfc, which keeps its relative accuracy in the lower tail.
    static __device__ __forceinline__ float gate(float x) {
        return 0.5f * erfcf(-0.7071067812f * x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return __fmaf_rn(x, kDensity * expf(-0.5f * x * x), gate(x));
    }
};

struct Approximate {
    static __device__ __forceinline__ float gate(float x) {
        return sigmoid(kTwoRootTwoOverPi * x * __fmaf_rn(kCubic * x, x, 1.0f));
    }
    static __device__ __forceinline__ float slope(float x) {
        const float s = gate(x);
        const float inner = kTwoRootTwoOverPi * __fmaf_rn(3.0f * kCubic * x, x, 1.0f);
        return __fmaf_rn(x * inner, s * (1.0f - s), s);
    }
};

template <class Form>
struct Gelu {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0] * Form::gate(in[0]);
    }
};

template <class Form>
struct GeluBackward {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [x, dy] = in;
        out[0] = dy * Form::slope(x);
    }
};

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return attribute(*call, "approximate") != 0.0
               ? elementwise<1, 1>(*device, "gelu", *call, Gelu<Approximate>{}, error)
               : elementwise<1, 1>(*device, "gelu", *call, Gelu<Exact>{}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return attribute(*call, "approximate") != 0.0
               ? elementwise<2, 1>(*device, "geluBackward", *call, GeluBackward<Approximate>{},
                                   error)
               : elementwise<2, 1>(*device, "geluBackward", *call, GeluBackward<Exact>{}, error);
}

}  // namespace

const CpOp kCudaGeluOp = {"gelu", no_workspace, nullptr, run_forward};
const CpOp kCudaGeluBackwardOp = {"geluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
