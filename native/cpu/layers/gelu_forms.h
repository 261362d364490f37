// The two forms of GELU, x Phi(x) with the normal distribution function Phi: exact, and with
// Phi(x) ~ (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016.
#pragma once

#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

inline constexpr float kTwoRootTwoOverPi = 1.5957691216f;  // 2 sqrt(2/pi)
inline constexpr float kCubic = 0.044715f;
inline constexpr float kDensity = 0.3989422804f;  // 1 / sqrt(2 pi)

struct ExactGelu {
    static Vec value(Vec x) { return x * normal_cdf(x); }
    static Vec slope(Vec x) {
        const Vec density = splat(kDensity) * exp(splat(-0.5f) * x * x);
        return fma(x, density, normal_cdf(x));
    }
};

struct TanhGelu {
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

}  // namespace compact::COMPACT_ISA
