// A soft cap: cap tanh(x / cap), which is x where that is small and never beyond the cap. A cap of
// 0 is none. Bello et al., "Neural Combinatorial Optimization with Reinforcement Learning", 2016.
#pragma once

#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

struct SoftCap {
    float cap;

    explicit SoftCap(const CpCall& call, const char* name = "softCap")
        : cap(static_cast<float>(attribute(call, name))) {}

    bool exists() const { return cap != 0.0f; }
    Vec value(Vec x) const { return splat(cap) * tanh(x * splat(1.0f / cap)); }
    // The derivative, from the capped value; 1 without a cap. That of -infinity, a score that is
    // hidden, is 0.
    Vec slope(Vec capped) const {
        if (!exists()) return splat(1.0f);
        const Vec part = max(splat(-cap), capped) * splat(1.0f / cap);
        return fma(splat(0.0f) - part, part, splat(1.0f));
    }
    void apply(int64_t count, float* values) const {
        if (!exists()) return;
        for_lanes(count, [&](int64_t i, auto lanes) {
            store(values + i, value(load(values + i, lanes)), lanes);
        });
    }
};

}  // namespace compact::COMPACT_ISA
