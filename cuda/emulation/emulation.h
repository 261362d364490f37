// The emulation: CUDA on the CPU, so that kernels can be tested where there is no GPU. It is a tool
// of the tests, in no package; cuda/simt/gpu.h includes this header, and no other of this folder,
// where a .cu file is compiled as C++.
//
// This header has the part of the CUDA language that the kernels use. Beside it:
//   fibers.h          threads, a fiber each, with barriers and warp collectives
//   host_runtime.h    the host's calls, over machines that can be given faults
//   streams.h         streams, events and graphs
//   tensor_core.h     instructions of a warp on small matrices
//   bank_conflicts.h  how often accesses to shared memory wait for each other
//   hopper.h          what compute capability 9.0 alone has
//   fake_cublaslt.cc  a library in the place of cuBLASLt
//
// What it refuses: it stops the process, and says where, when threads of a block or lanes of a warp
// reach different barriers or collectives, a shuffle reads a lane outside its mask, an address is
// not aligned, a tile is in another layout than the instruction reads, a thread waits for what will
// not come or ends with what it has not waited for, sums of a product in flight are touched, or a
// block has more shared memory than its device. A call that CUDA would refuse, such as a launch
// beyond a device's limits or a kernel's attributes, or what must not be recorded, gives CUDA's
// error. Each of these is shown to be caught: test/emulated/test_planted_faults.cc.
//
// What it finds beside that: accesses out of bounds (with AddressSanitizer), races between barriers
// (with ThreadSanitizer, or by a changed result under another fiber order).
//
// What it cannot show: timing, occupancy, the finer points of the memory model, the
// last bits of exp and its kin.
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
#include "cuda/emulation/hopper.h"
#include "cuda/emulation/host_runtime.h"
#include "cuda/emulation/tensor_core.h"

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

// What cuda/simt/gpu.h has words for. Slots are numbered per kernel file by the counter.
static constexpr int kFirstSharedSlot = __COUNTER__ + 1;
#define CP_SHARED(T, name)                          \
    using name##_type = T;                          \
    name##_type& name = *static_cast<name##_type*>( \
        compact::emulation::shared_slot(__COUNTER__ - kFirstSharedSlot, sizeof(name##_type)))
#define CP_SHARED_DYNAMIC(T, name) T* name = static_cast<T*>(compact::emulation::dynamic_shared())
#define CP_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    compact::emulation::launch_kernel(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
#define CP_UNROLL
#define CP_GRID_CONSTANT

namespace compact::emulation {

template <class... Parameters, class... Arguments>
void launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, Arguments&&... arguments) {
    const Index3 blocks{grid.x, grid.y, grid.z}, threads{block.x, block.y, block.z};
    const auto* const function = reinterpret_cast<const void*>(kernel);
    if (!can_launch(function, blocks, threads, shared_bytes)) return;
    // Each thread gets its own copy of the parameters, as on the device.
    const std::tuple<std::remove_cv_t<Parameters>...> parameters(
        std::forward<Arguments>(arguments)...);
    enqueue(stream, WorkKind::kKernel, [=] {
        if (!begin_launch()) return;
        launch(blocks, threads, shared_bytes, [&] { std::apply(kernel, parameters); });
    });
}

}  // namespace compact::emulation
