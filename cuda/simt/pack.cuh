// Eight elements at a time as fp32: 16-byte accesses for bf16, two of them for f32, single ones
// where the address is not aligned or fewer than eight are left.
#pragma once

#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"
#include "native/base/bf16.h"

namespace compact {

__device__ __forceinline__ float load_element(const float* p) { return *p; }
__device__ __forceinline__ float load_element(const Bf16* p) { return bf16_to_float(*p); }
__device__ __forceinline__ void store_element(float* p, float value) { *p = value; }
__device__ __forceinline__ void store_element(Bf16* p, float value) { *p = bf16_from_float(value); }
__device__ __forceinline__ void store_element(Bf16* p, Bf16 bits) { *p = bits; }

inline constexpr int kPackSize = 8;

// Eight bf16 as they lie in memory, to and from fp32.
__device__ __forceinline__ void unpack(const uint4& words, float (&values)[kPackSize]) {
    const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
    CP_UNROLL
    for (int i = 0; i < 4; ++i) {
        values[2 * i] = float_from_bits(pairs[i] << 16);
        values[2 * i + 1] = float_from_bits(pairs[i] & 0xffff0000u);
    }
}
__device__ __forceinline__ uint4 packed(const float (&values)[kPackSize]) {
    return {bf16_pair(values[0], values[1]), bf16_pair(values[2], values[3]),
            bf16_pair(values[4], values[5]), bf16_pair(values[6], values[7])};
}
__device__ __forceinline__ uint4 packed(const Bf16 (&values)[kPackSize]) {
    const auto pair = [&](int i) { return values[i] | static_cast<uint32_t>(values[i + 1]) << 16; };
    return {pair(0), pair(2), pair(4), pair(6)};
}

// All eight, at an address that is a multiple of 16.
__device__ __forceinline__ void load_whole_pack(const Bf16* source, float (&values)[kPackSize]) {
    unpack(*reinterpret_cast<const uint4*>(source), values);
}
__device__ __forceinline__ void load_whole_pack(const float* source, float (&values)[kPackSize]) {
    const auto* const halves = reinterpret_cast<const float4*>(source);
    const float4 low = halves[0], high = halves[1];
    const float all[kPackSize] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) values[i] = all[i];
}
// `Value`: float, or what the target is.
template <class Value>
__device__ __forceinline__ void store_whole_pack(Bf16* target, const Value (&values)[kPackSize]) {
    *reinterpret_cast<uint4*>(target) = packed(values);
}
__device__ __forceinline__ void store_whole_pack(float* target, const float (&values)[kPackSize]) {
    auto* const halves = reinterpret_cast<float4*>(target);
    halves[0] = {values[0], values[1], values[2], values[3]};
    halves[1] = {values[4], values[5], values[6], values[7]};
}

__device__ __forceinline__ bool is_whole_pack(const void* address, int count) {
    return count == kPackSize && reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

template <class T>
__device__ __forceinline__ void load_pack(const T* source, int count, float (&values)[kPackSize]) {
    if (is_whole_pack(source, count)) {
        load_whole_pack(source, values);
    } else {
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) values[i] = i < count ? load_element(source + i) : 0.0f;
    }
}

// `Value`: float, or what T is.
template <class T, class Value>
__device__ __forceinline__ void store_pack(T* target, int count, const Value (&values)[kPackSize]) {
    if (is_whole_pack(target, count)) {
        store_whole_pack(target, values);
    } else {
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            if (i < count) store_element(target + i, values[i]);
        }
    }
}

// Elements left from `first` on, at most a pack; 0 beyond the end.
__device__ __forceinline__ int pack_count(int64_t total, int64_t first) {
    const int64_t left = total - first;
    return left >= kPackSize ? kPackSize : left > 0 ? static_cast<int>(left) : 0;
}

// Memory of f32 or bf16. Ops with several dtypes branch once per pack, the same way in every
// thread, instead of having a kernel for every combination.
struct AnyTensor {
    void* data = nullptr;
    int32_t dtype = CP_F32;

    AnyTensor() = default;
    explicit AnyTensor(const CpTensor& tensor) : data(tensor.data), dtype(tensor.dtype) {}

    __device__ __forceinline__ void load(int64_t first, int count,
                                         float (&values)[kPackSize]) const {
        if (dtype == CP_BF16) {
            load_pack(static_cast<const Bf16*>(data) + first, count, values);
        } else {
            load_pack(static_cast<const float*>(data) + first, count, values);
        }
    }
    __device__ __forceinline__ void store(int64_t first, int count,
                                          const float (&values)[kPackSize]) const {
        if (dtype == CP_BF16) {
            store_pack(static_cast<Bf16*>(data) + first, count, values);
        } else {
            store_pack(static_cast<float*>(data) + first, count, values);
        }
    }
};

}  // namespace compact
