// Functions over the vectors of simd.h, the same source for every instruction set.
#pragma once

#include <limits>

namespace compact::COMPACT_ISA {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// x with `other` in the lanes that take no part.
inline Vec keep(Vec x, AllLanes, float) { return x; }
inline Vec keep(Vec x, FirstLanes lanes, float other) {
    const Mask inside = less(lane_index(), splat(static_cast<float>(lanes.count)));
    return select(inside, x, splat(other));
}

// One element of f32 or bf16.
template <class T>
inline float element(const T* p) {
    return sum(load(p, FirstLanes{1}));
}

// Largest magnitude of all lanes; NaN counts as larger than everything.
inline float largest_magnitude(Vec a) {
    alignas(64) float lanes[kWidth];
    store(lanes, a, AllLanes{});
    Vec best = splat(lanes[0]);
    for (int64_t i = 1; i < kWidth; ++i) best = max_magnitude(best, splat(lanes[i]));
    store(lanes, best, AllLanes{});
    return lanes[0];
}

// Largest lane; a NaN may be passed over.
inline float largest(Vec a) {
    alignas(64) float lanes[kWidth];
    store(lanes, a, AllLanes{});
    float best = lanes[0];
    for (int64_t i = 1; i < kWidth; ++i) best = lanes[i] > best ? lanes[i] : best;
    return best;
}

// e^x, relative error below 1.5e-7; infinity above 88.73, NaN stays. Below -87.3 it is 0: subnormal
// results would cost a hundred cycles each. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by a minimax
// polynomial of degree 6.
inline Vec exp(Vec x) {
    const Vec bounded = min(splat(89.0f), max(splat(-87.3f), x));
    // Adding 1.5 * 2^23 leaves an integer in the lowest bits: rounding without its own instruction.
    const Vec shift = splat(12582912.0f);
    const Vec n = fma(bounded, splat(1.44269504f), shift) - shift;
    // ln 2 in two parts: the first has trailing zeros, so that n times it is exact.
    Vec r = fma(n, splat(-0.693359375f), bounded);
    r = fma(n, splat(2.12194440e-4f), r);
    Vec p = splat(0.001381461556f);
    p = fma(p, r, splat(0.008368709753f));
    p = fma(p, r, splat(0.04166838731f));
    p = fma(p, r, splat(0.1666652069f));
    p = fma(p, r, splat(0.4999999345f));
    p = fma(p, r * r, r) + splat(1.0f);
    return select(less(x, splat(-87.3f)), splat(0.0f), scale_by_power(p, n));
}

// 1 / (1 + e^-x)
inline Vec sigmoid(Vec x) { return splat(1.0f) / (splat(1.0f) + exp(splat(0.0f) - x)); }

// Hyperbolic tangent, relative error below 3e-7, NaN stays: an odd polynomial up to 0.625, beyond
// it 1 - 2 / (e^2|x| + 1) with the sign of x.
inline Vec tanh(Vec x) {
    const Vec magnitude = abs(x), square = x * x;
    Vec p = splat(-5.70498872745e-3f);
    p = fma(p, square, splat(2.06390887954e-2f));
    p = fma(p, square, splat(-5.37397155531e-2f));
    p = fma(p, square, splat(1.33314422036e-1f));
    p = fma(p, square, splat(-3.33332819422e-1f));
    const Vec near = fma(p * square, x, x);
    const Vec far = splat(1.0f) - splat(2.0f) / (exp(magnitude + magnitude) + splat(1.0f));
    const Vec signed_far = select(less(x, splat(0.0f)), splat(0.0f) - far, far);
    return select(less(magnitude, splat(0.625f)), near, signed_far);
}

// Probability that a standard normal number is below x, relative error about 1e-6 where it is
// above 1e-7. With z = |x| / sqrt(2) and t = 1 / (1 + z/2):
// erfc(z) = t exp(-z^2 + polynomial in t), fitted for 0 <= z <= 10.
inline Vec normal_cdf(Vec x) {
    const Vec z = min(splat(10.0f), abs(x) * splat(0.70710678f));
    const Vec t = splat(1.0f) / fma(z, splat(0.5f), splat(1.0f));
    Vec p = splat(0.1421937475f);
    p = fma(p, t, splat(-0.6660602953f));
    p = fma(p, t, splat(1.122394284f));
    p = fma(p, t, splat(-0.6512394255f));
    p = fma(p, t, splat(-0.116795095f));
    p = fma(p, t, splat(0.02020004897f));
    p = fma(p, t, splat(0.02835571699f));
    p = fma(p, t, splat(0.3879000169f));
    p = fma(p, t, splat(0.9984924832f));
    p = fma(p, t, splat(-1.265441436f));
    const Vec tail = splat(0.5f) * t * exp(fma(splat(0.0f) - z, z, p));
    return select(less(x, splat(0.0f)), tail, splat(1.0f) - tail);
}

}  // namespace compact::COMPACT_ISA
