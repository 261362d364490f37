// A soft cap: cap tanh(x / cap), which is x where that is small and never beyond the cap. A cap of
// 0 is none. Bello et al., "Neural Combinatorial Optimization with Reinforcement Learning", 2016.
#pragma once

#include <cmath>

#include "cuda/simt/gpu.h"

namespace compact {

struct SoftCap {
    float cap = 0.0f;

    __host__ __device__ __forceinline__ bool exists() const { return cap != 0.0f; }
    __device__ __forceinline__ float value(float x) const {
        return exists() ? cap * tanhf(x / cap) : x;
    }
    // The derivative, from the capped value; 1 without a cap.
    __device__ __forceinline__ float slope(float capped) const {
        if (!exists()) return 1.0f;
        const float part = capped / cap;
        return __fmaf_rn(-part, part, 1.0f);
    }
};

}  // namespace compact
