// The part of the CUDA language and runtime that this project's kernels use, on the CPU. Included
// by cuda/gpu.h in place of <cuda_runtime.h> when a .cu file is compiled as C++ (test-only).
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/emulation/fibers.h"

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

// Host runtime: one synchronous device whose memory is the process's own, each block a malloc of
// its own filled with 0xFF, so that AddressSanitizer sees accesses outside it.
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorLaunchFailure = 719,
};
using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = std::chrono::steady_clock::time_point*;
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
};
struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlockOptin;
    int major, minor, multiProcessorCount, l2CacheSize;
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaHostAllocDefault = 0;

inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorEmulated"; }
inline const char* cudaGetErrorString(cudaError_t) { return "emulated error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
inline cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaSetDevice(int index) {
    return index == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    std::strcpy(properties->name, "emulated on the CPU");
    properties->totalGlobalMem = size_t{4} << 30;
    properties->sharedMemPerBlockOptin = 99 * 1024;
    properties->major = 8;
    properties->multiProcessorCount = 4;
    properties->l2CacheSize = 32 << 20;
    return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
    *free_bytes = *total_bytes = size_t{4} << 30;
    return cudaSuccess;
}
template <class T>
cudaError_t cudaMalloc(T** data, size_t bytes) {
    *data = static_cast<T*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    if (*data == nullptr) return cudaErrorMemoryAllocation;
    std::memset(static_cast<void*>(*data), 0xFF, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaFree(void* data) { return std::free(data), cudaSuccess; }
template <class T>
cudaError_t cudaHostAlloc(T** data, size_t bytes, unsigned) {
    *data = static_cast<T*>(std::malloc(bytes));
    return *data == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* data) { return std::free(data), cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind,
                                   cudaStream_t) {
    return std::memmove(target, source, bytes), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t) {
    return std::memset(target, value, bytes), cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    return *stream = nullptr, cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return *event = new std::chrono::steady_clock::time_point, cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    return *event = std::chrono::steady_clock::now(), cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    *milliseconds = std::chrono::duration<float, std::milli>(*end - *begin).count();
    return cudaSuccess;
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int) {
    return cudaSuccess;
}
