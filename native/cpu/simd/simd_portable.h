// simd.h in plain C++: 8 lanes in an array, which compilers turn into whatever the target offers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace compact::COMPACT_ISA {

struct Vec {
    float v[8];
};
struct Mask {
    bool v[8];
};
inline constexpr int64_t kWidth = 8;

template <class Function>
inline Vec each_lane(Function function) {
    Vec result;
    for (int i = 0; i < kWidth; ++i) result.v[i] = function(i);
    return result;
}

inline Vec splat(float x) {
    return each_lane([&](int) { return x; });
}
inline Vec lane_index() {
    return each_lane([](int i) { return static_cast<float>(i); });
}

// ---- Loads and stores. Lanes that take no part read as 0 and are not written. -------------------
// Memory is reached through memcpy: rows of f32 may be overwritten by bf16 in place.

inline size_t num_lanes(AllLanes) { return kWidth; }
inline size_t num_lanes(FirstLanes lanes) { return static_cast<size_t>(lanes.count); }

template <class Lanes>
inline Vec load(const float* p, Lanes lanes) {
    Vec result{};
    std::memcpy(result.v, p, num_lanes(lanes) * sizeof(float));
    return result;
}
template <class Lanes>
inline Vec load(const BFloat16* p, Lanes lanes) {
    uint16_t halves[kWidth] = {};
    std::memcpy(halves, p, num_lanes(lanes) * sizeof(uint16_t));
    return each_lane(
        [&](int i) { return std::bit_cast<float>(static_cast<uint32_t>(halves[i]) << 16); });
}
template <class Lanes>
inline Vec load(const int8_t* p, Lanes lanes) {
    int8_t codes[kWidth] = {};
    std::memcpy(codes, p, num_lanes(lanes));
    return each_lane([&](int i) { return static_cast<float>(codes[i]); });
}

// table[p[i]], of a table of 256.
template <class Lanes>
inline Vec lookup(const float* table, const uint8_t* p, Lanes lanes) {
    Vec result{};
    for (size_t i = 0; i < num_lanes(lanes); ++i) result.v[i] = table[p[i]];
    return result;
}

template <class Lanes>
inline void store(float* p, Vec x, Lanes lanes) {
    std::memcpy(p, x.v, num_lanes(lanes) * sizeof(float));
}

template <class Lanes>
inline void store(BFloat16* p, Vec x, Lanes lanes) {
    uint16_t halves[kWidth];
    for (int i = 0; i < kWidth; ++i) {
        const uint32_t bits = std::bit_cast<uint32_t>(x.v[i]);
        halves[i] = bf16_upper_half(bits, bits + 0x7fffu + ((bits >> 16) & 1u));
    }
    std::memcpy(p, halves, num_lanes(lanes) * sizeof(uint16_t));
}

// Rounds up in magnitude when the 16 bits that are cut off plus `random` carry. All kWidth random
// numbers are read.
template <class Lanes>
inline void store_stochastic(BFloat16* p, Vec x, const uint16_t* random, Lanes lanes) {
    uint16_t halves[kWidth], dither[kWidth];
    std::memcpy(dither, random, sizeof dither);
    for (int i = 0; i < kWidth; ++i) {
        const uint32_t bits = std::bit_cast<uint32_t>(x.v[i]);
        halves[i] = bf16_upper_half(bits, bits + dither[i]);
    }
    std::memcpy(p, halves, num_lanes(lanes) * sizeof(uint16_t));
}

// Integer-valued lanes in [-128, 127].
template <class Lanes>
inline void store(int8_t* p, Vec x, Lanes lanes) {
    int8_t codes[kWidth];
    for (int i = 0; i < kWidth; ++i) codes[i] = static_cast<int8_t>(x.v[i]);
    std::memcpy(p, codes, num_lanes(lanes));
}

// Integer-valued lanes in [0, 255].
template <class Lanes>
inline void store(uint8_t* p, Vec x, Lanes lanes) {
    uint8_t codes[kWidth];
    for (int i = 0; i < kWidth; ++i) codes[i] = static_cast<uint8_t>(x.v[i]);
    std::memcpy(p, codes, num_lanes(lanes));
}

// ---- Arithmetic ---------------------------------------------------------------------------------

inline Vec operator+(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator-(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec operator*(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec operator/(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] / b.v[i]; });
}
// Rounds twice: a fused operation without hardware is a slow library call.
inline Vec fma(Vec a, Vec b, Vec c) {
    return each_lane([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
inline Vec max(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec min(Vec a, Vec b) {
    return each_lane([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec sqrt(Vec a) {
    return each_lane([&](int i) { return std::sqrt(a.v[i]); });
}
inline Vec abs(Vec a) {
    return each_lane([&](int i) { return std::fabs(a.v[i]); });
}
// Adding and taking away 1.5 * 2^23 leaves the nearest integer; larger values are integers already.
inline Vec round_even(Vec a) {
    return each_lane([&](int i) {
        const float shift = 12582912.0f;
        return std::fabs(a.v[i]) < 4194304.0f ? (a.v[i] + shift) - shift : a.v[i];
    });
}

inline Mask less(Vec a, Vec b) {
    Mask result;
    for (int i = 0; i < kWidth; ++i) result.v[i] = a.v[i] < b.v[i];
    return result;
}
inline Mask equal(Vec a, Vec b) {
    Mask result;
    for (int i = 0; i < kWidth; ++i) result.v[i] = a.v[i] == b.v[i];
    return result;
}
inline Vec select(Mask mask, Vec yes, Vec no) {
    return each_lane([&](int i) { return mask.v[i] ? yes.v[i] : no.v[i]; });
}

// 2^n for integer-valued n in [-126, 127].
inline Vec power_of_two(Vec n) {
    return each_lane([&](int i) {
        const int32_t exponent = n.v[i] > -127.0f ? static_cast<int32_t>(n.v[i]) : 0;  // not NaN
        return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
    });
}

// x 2^n for integer-valued n in [-252, 254], in two factors that are floats.
inline Vec scale_by_power(Vec x, Vec n) {
    const Vec half = round_even(n * splat(0.5f));
    return x * power_of_two(half) * power_of_two(n - half);
}

// The larger magnitude; NaN counts as larger than everything.
inline Vec max_magnitude(Vec a, Vec b) {
    return each_lane([&](int i) {
        const uint32_t x = std::bit_cast<uint32_t>(a.v[i]) & 0x7fffffffu;
        const uint32_t y = std::bit_cast<uint32_t>(b.v[i]) & 0x7fffffffu;
        return std::bit_cast<float>(x > y ? x : y);
    });
}

// ---- Across lanes, always in the same order -----------------------------------------------------

inline float sum(Vec a) {
    const float four[4] = {a.v[0] + a.v[4], a.v[1] + a.v[5], a.v[2] + a.v[6], a.v[3] + a.v[7]};
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// Sums of squares in fp64.
struct SquareSum {
    double lanes[8] = {};

    void add(Vec x) {
        for (int i = 0; i < kWidth; ++i) {
            lanes[i] += static_cast<double>(x.v[i]) * static_cast<double>(x.v[i]);
        }
    }
    double total() const {
        double result = 0.0;
        for (double lane : lanes) result += lane;
        return result;
    }
};

}  // namespace compact::COMPACT_ISA
