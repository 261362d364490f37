// Functions of one number that activations are made of.
#pragma once

#include "cuda/simt/gpu.h"

namespace compact {

// 1 / (1 + e^-x)
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Derivative of x sigmoid(x), with s = sigmoid(x).
__device__ __forceinline__ float silu_slope(float x, float s) {
    return s * __fmaf_rn(x, 1.0f - s, 1.0f);
}

// The two forms of GELU, x Phi(x) with the normal distribution function Phi, the gate: exact, and
// with Phi(x) ~ (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016.
inline constexpr float kTwoRootTwoOverPi = 1.5957691216f;  // 2 sqrt(2/pi)
inline constexpr float kCubic = 0.044715f;
inline constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)

struct ExactGelu {
    // By erfc, which keeps its relative accuracy in the lower tail.
    static __device__ __forceinline__ float gate(float x) {
        return 0.5f * erfcf(-0.7071067812f * x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return __fmaf_rn(x, kDensity * expf(-0.5f * x * x), gate(x));
    }
};

struct TanhGelu {
    static __device__ __forceinline__ float gate(float x) {
        return sigmoid(kTwoRootTwoOverPi * x * __fmaf_rn(kCubic * x, x, 1.0f));
    }
    static __device__ __forceinline__ float slope(float x) {
        const float s = gate(x);
        const float inner = kTwoRootTwoOverPi * __fmaf_rn(3.0f * kCubic * x, x, 1.0f);
        return __fmaf_rn(x * inner, s * (1.0f - s), s);
    }
};

}  // namespace compact
