// The part of the CUDA language that this project's kernels use, on the CPU. Included
// by cuda/simt/gpu.h in place of <cuda_runtime.h> when a .cu file is compiled as C++ (test-only).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/host_runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __launch_bounds__(...)

struct uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

#define threadIdx (compact::emulation::thread_index())
#define blockIdx (compact::emulation::block_index())
#define blockDim (compact::emulation::block_size())
#define gridDim (compact::emulation::grid_size())

// Barriers and collectives. Numbers tell collectives apart, so that lanes that meet in different
// ones are caught.
#define __syncthreads()                                                                    \
    ((void)compact::emulation::block_barrier(0, compact::emulation::BarrierResult::kCount, \
                                             __LINE__))
#define __syncthreads_or(p) \
    compact::emulation::block_barrier(p, compact::emulation::BarrierResult::kOr, __LINE__)
#define __syncwarp(...) \
    ((void)compact::emulation::warp_collective(0xffffffffu, 1, nullptr, 0, __LINE__))

namespace compact::emulation {

template <class T, class Source>
T shuffle(unsigned mask, T value, Source source, int op, int line) {
    static_assert(sizeof(T) <= sizeof(Slot));
    const Slot* slots = warp_collective(mask, op, &value, sizeof value, line);
    int from = source(lane());
    if (from < 0 || from > 31) from = lane();
    if ((mask >> from & 1) == 0) stop("a shuffle reads a lane outside its mask");
    T result;
    std::memcpy(&result, slots[from], sizeof result);
    return result;
}

inline unsigned ballot(unsigned mask, bool predicate, int line) {
    const unsigned char bit = predicate ? 1 : 0;
    const Slot* slots = warp_collective(mask, 6, &bit, 1, line);
    unsigned result = 0;
    for (int i = 0; i < 32; ++i) {
        if ((mask >> i & 1) != 0 && slots[i][0] != 0) result |= 1u << i;
    }
    return result;
}

}  // namespace compact::emulation

#define __shfl_sync(m, v, s)     \
    compact::emulation::shuffle( \
        m, v, [=](int) { return (s)&31; }, 2, __LINE__)
#define __shfl_xor_sync(m, v, x) \
    compact::emulation::shuffle( \
        m, v, [=](int l_) { return l_ ^ (x); }, 3, __LINE__)
#define __shfl_down_sync(m, v, d) \
    compact::emulation::shuffle(  \
        m, v, [=](int l_) { return l_ + (int)(d); }, 4, __LINE__)
#define __shfl_up_sync(m, v, d)  \
    compact::emulation::shuffle( \
        m, v, [=](int l_) { return l_ - (int)(d); }, 5, __LINE__)
#define __ballot_sync(m, p) compact::emulation::ballot(m, (p) != 0, __LINE__)
#define __any_sync(m, p) (__ballot_sync(m, p) != 0)
#define __all_sync(m, p) (__ballot_sync(m, p) == (m))

// Arithmetic with the rounding of the device; fused multiply-adds only where they are written
// (-ffp-contract=off). __expf and its kin differ from the device in the last places.
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(uint64_t{a} * b >> 32);
}
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
template <class T>
T __ldg(const T* pointer) {
    return *pointer;
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

template <class T>
T atomicAdd(T* target, T value) {
    return __atomic_fetch_add(target, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicMax(T* target, T value) {
    T old = __atomic_load_n(target, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(target, &old, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return old;
}
template <class T>
T atomicMin(T* target, T value) {
    T old = __atomic_load_n(target, __ATOMIC_RELAXED);
    while (value < old && !__atomic_compare_exchange_n(target, &old, value, true, __ATOMIC_RELAXED,
                                                       __ATOMIC_RELAXED)) {
    }
    return old;
}
