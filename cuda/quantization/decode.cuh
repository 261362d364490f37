// Elements of quantised matrices on the device.
#pragma once

#include "cuda/simt/pack.cuh"
#include "native/base/quantized_matrix.h"

namespace compact {
namespace {

__constant__ Nf4Levels kConstantNf4Levels = kNf4Levels;

// For every thread of a block; `levels` is in shared memory, where the threads of a warp may read
// different ones at once.
__device__ __forceinline__ void load_nf4_levels(Nf4Levels* levels) {
    if (threadIdx.x < 16) levels->level[threadIdx.x] = kConstantNf4Levels.level[threadIdx.x];
    __syncthreads();
}

}  // namespace

__device__ __forceinline__ float decode_element(const QuantizedMatrix& matrix, int64_t element,
                                                const Nf4Levels& levels) {
    const float scale = matrix.scale(element >> matrix.group_shift);
    if (!matrix.is_nf4()) {
        return static_cast<float>(static_cast<const int8_t*>(matrix.codes)[element]) * scale;
    }
    const uint32_t byte = static_cast<const uint8_t*>(matrix.codes)[element / 2];
    return levels.level[byte >> (element % 2 * 4) & 15u] * scale;
}

// Eight codes from element `first` on, the first `count` of them, as they lie: a byte or half a
// byte each. NF4 codes begin at an even element.
__device__ __forceinline__ uint2 load_codes(const QuantizedMatrix& matrix, int64_t first,
                                            int count) {
    const int bytes = matrix.is_nf4() ? 4 : 8;
    const auto* source =
        static_cast<const uint8_t*>(matrix.codes) + (matrix.is_nf4() ? first / 2 : first);
    if (count == kPackSize && reinterpret_cast<uintptr_t>(source) % bytes == 0) {
        if (matrix.is_nf4()) return {*reinterpret_cast<const uint32_t*>(source), 0};
        return *reinterpret_cast<const uint2*>(source);
    }
    const int present = matrix.is_nf4() ? (count + 1) / 2 : count;
    uint2 codes{0, 0};
    CP_UNROLL
    for (int i = 0; i < 8; ++i) {
        const uint32_t byte = i < present ? source[i] : 0;
        (i < 4 ? codes.x : codes.y) |= byte << (i % 4 * 8);
    }
    return codes;
}

// Eight elements from `first` on, the first `count` of them, each the code times its scale; zero
// for the others.
__device__ __forceinline__ void decode_pack(const QuantizedMatrix& matrix, int64_t first, int count,
                                            const Nf4Levels& levels, float (&values)[kPackSize]) {
    const uint2 codes = count > 0 ? load_codes(matrix, first, count) : uint2{0, 0};
    int64_t group = first >> matrix.group_shift;
    float scale = count > 0 ? matrix.scale(group) : 0.0f;
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        if (i < count && (first + i) >> matrix.group_shift != group) scale = matrix.scale(++group);
        const uint32_t byte = (i < 4 ? codes.x : codes.y) >> (i % 4 * 8) & 0xffu;
        const float code = matrix.is_nf4() ? levels.level[codes.x >> (4 * i) & 15u]
                                           : static_cast<float>(static_cast<int8_t>(byte));
        values[i] = i < count ? code * scale : 0.0f;
    }
}

}  // namespace compact
