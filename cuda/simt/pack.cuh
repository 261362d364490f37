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

template <class T>
struct alignas(16) Pack {
    T values[16 / sizeof(T)];
};

template <class T>
__device__ __forceinline__ void load_pack(const T* source, int count, float (&values)[kPackSize]) {
    constexpr int kPack = 16 / sizeof(T);
    if (count == kPackSize && reinterpret_cast<uintptr_t>(source) % 16 == 0) {
        CP_UNROLL
        for (int p = 0; p < kPackSize / kPack; ++p) {
            const Pack<T> pack = reinterpret_cast<const Pack<T>*>(source)[p];
            CP_UNROLL
            for (int i = 0; i < kPack; ++i) values[p * kPack + i] = load_element(&pack.values[i]);
        }
    } else {
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) values[i] = i < count ? load_element(source + i) : 0.0f;
    }
}

// `Value`: float, or what T is.
template <class T, class Value>
__device__ __forceinline__ void store_pack(T* target, int count, const Value (&values)[kPackSize]) {
    constexpr int kPack = 16 / sizeof(T);
    if (count == kPackSize && reinterpret_cast<uintptr_t>(target) % 16 == 0) {
        CP_UNROLL
        for (int p = 0; p < kPackSize / kPack; ++p) {
            Pack<T> pack;
            CP_UNROLL
            for (int i = 0; i < kPack; ++i) store_element(&pack.values[i], values[p * kPack + i]);
            reinterpret_cast<Pack<T>*>(target)[p] = pack;
        }
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
