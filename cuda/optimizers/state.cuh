// States of optimizers in memory: numbers of f32 or bf16, or codes of eight bits with a scale for
// each block (native/base/dynamic_map.h). A block of 256 is what a warp takes, a pack a thread.
#pragma once

#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/pack.cuh"
#include "native/base/dynamic_map.h"

namespace compact {

static_assert(kStateBlock == 32 * kPackSize);

namespace {

__constant__ DynamicMap kConstantSignedMap = kSignedMap;
__constant__ DynamicMap kConstantUnsignedMap = kUnsignedMap;

// Both maps, for every thread of a block; in shared memory, where threads may read different codes
// at once.
__device__ __forceinline__ void load_dynamic_maps(DynamicMap* maps) {
    constexpr int kFloats = sizeof(DynamicMap) / sizeof(float);
    for (int i = static_cast<int>(threadIdx.x); i < kFloats; i += static_cast<int>(blockDim.x)) {
        reinterpret_cast<float*>(&maps[0])[i] =
            reinterpret_cast<const float*>(&kConstantSignedMap)[i];
        reinterpret_cast<float*>(&maps[1])[i] =
            reinterpret_cast<const float*>(&kConstantUnsignedMap)[i];
    }
    __syncthreads();
}

}  // namespace

struct StateTensor {
    AnyTensor values;  // u8 for codes
    float* scales = nullptr;

    StateTensor() = default;
    StateTensor(const CpTensor& tensor, const CpTensor& scale_tensor)
        : values(tensor), scales(static_cast<float*>(scale_tensor.data)) {}

    __device__ __forceinline__ void load(int64_t first, int count, const DynamicMap& map,
                                         float (&numbers)[kPackSize]) const {
        if (values.dtype != CP_U8) return values.load(first, count, numbers);
        const uint8_t* codes = static_cast<const uint8_t*>(values.data) + first;
        const float scale = count > 0 ? scales[first / kStateBlock] : 0.0f;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            numbers[i] = i < count ? map.values[codes[i]] * scale : 0.0f;
        }
    }

    // By all threads of a warp together, those without elements (count 0) too. Of a block whose
    // largest magnitude is subnormal all numbers become 0; one with NaN or infinity has that scale.
    __device__ __forceinline__ void store(int64_t first, int count, const DynamicMap& map,
                                          const float (&numbers)[kPackSize]) const {
        if (values.dtype != CP_U8) return values.store(first, count, numbers);
        uint32_t magnitude = 0;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            const uint32_t bits = float_bits(numbers[i]) & 0x7fffffffu;
            magnitude = Maximum{}(magnitude, i < count ? bits : 0u);
        }
        const float largest = float_from_bits(warp_reduce(magnitude, Maximum{}));
        const bool is_zero = largest < 1.17549435e-38f;  // the least normal number
        const bool finite = !is_zero && largest < INFINITY;
        const float share = 1.0f / (finite ? largest : 1.0f);
        uint8_t* codes = static_cast<uint8_t*>(values.data) + first;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            if (i >= count) continue;
            codes[i] =
                finite ? dynamic_code(numbers[i] * share, map) : static_cast<uint8_t>(map.zero);
        }
        if (count > 0 && first % kStateBlock == 0) {
            scales[first / kStateBlock] = is_zero ? 0.0f : largest;
        }
    }
};

}  // namespace compact
