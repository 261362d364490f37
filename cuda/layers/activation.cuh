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

}  // namespace compact
