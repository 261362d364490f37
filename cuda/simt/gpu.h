// What a kernel file includes instead of <cuda_runtime.h>: the CUDA language as nvcc has it, or the
// emulation of it on the CPU (cuda/emulation, test-only), and wrappers for what needs different
// words in the two: launches, shared memory, tensor-core and asynchronous-copy instructions.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>

// A shared array: CP_SHARED(float[32], partials). The type holds no comma.
#define CP_SHARED(T, name) \
    using name##_type = T; \
    __shared__ __align__(16) name##_type name
// Dynamic shared memory of the launch, as T*.
#define CP_SHARED_DYNAMIC(T, name)                                           \
    extern __shared__ __align__(128) unsigned char compact_dynamic_shared[]; \
    T* name = reinterpret_cast<T*>(compact_dynamic_shared)
#define CP_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)

#else
#include "cuda/emulation/runtime.h"

// Slots are numbered per kernel file by the counter.
static constexpr int kFirstSharedSlot = __COUNTER__ + 1;
#define CP_SHARED(T, name)                          \
    using name##_type = T;                          \
    name##_type& name = *static_cast<name##_type*>( \
        compact::emulation::shared_slot(__COUNTER__ - kFirstSharedSlot, sizeof(name##_type)))
#define CP_SHARED_DYNAMIC(T, name) T* name = static_cast<T*>(compact::emulation::dynamic_shared())
#define CP_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    compact::emulation::launch_kernel(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

namespace compact::emulation {
template <class... Parameters, class... Arguments>
void launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, Arguments&&... arguments) {
    const Index3 blocks{grid.x, grid.y, grid.z}, threads{block.x, block.y, block.z};
    if (!can_launch(blocks, threads)) return;
    // Each thread gets its own copy of the parameters, as on the device.
    const std::tuple<std::remove_cv_t<Parameters>...> parameters(
        std::forward<Arguments>(arguments)...);
    enqueue(stream, WorkKind::kKernel, [=] {
        if (!begin_launch()) return;
        launch(blocks, threads, shared_bytes, [&] { std::apply(kernel, parameters); });
    });
}
}  // namespace compact::emulation
#endif

// Before a loop whose arrays must stay in registers.
#if defined(__CUDACC__)
#define CP_UNROLL _Pragma("unroll")
#else
#define CP_UNROLL
#endif

// A parameter of a kernel that threads read where it lies, at places known only when they run.
#if defined(__CUDACC__)
#define CP_GRID_CONSTANT __grid_constant__
#else
#define CP_GRID_CONSTANT
#endif

// A wrapper has three cases: device code, the host pass of nvcc (must compile to nothing), and the
// emulation.
#if defined(__CUDA_ARCH__)
#define CP_DEVICE_CODE 1
#elif !defined(__CUDACC__)
#define CP_EMULATED_CODE 1
#endif

namespace compact {

// bf16 as raw bits; conversions live in native/base/bf16.h.
using Bf16 = uint16_t;

// d (16 x 8, fp32) += a (16 x 16, bf16, row-major) * b (16 x 8, bf16, column-major), over one warp.
__device__ __forceinline__ void mma_16816(float (&d)[4], const uint32_t (&a)[4],
                                          const uint32_t (&b)[2]) {
#if defined(CP_DEVICE_CODE)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(CP_EMULATED_CODE)
    struct Fragment {
        uint32_t a[4], b[2];
    };
    const Fragment own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    const auto* slots = emulation::warp_collective(0xffffffffu, 100, &own, sizeof own, __LINE__);
    const auto half = [](uint32_t word, int odd) {
        return __uint_as_float(odd != 0 ? word & 0xffff0000u : word << 16);
    };
    const auto fragment = [&](int lane) { return reinterpret_cast<const Fragment*>(slots[lane]); };
    const int group = emulation::lane() >> 2, pair = emulation::lane() & 3;
    for (int i = 0; i < 4; ++i) {
        const int row = group + (i >= 2 ? 8 : 0), column = pair * 2 + (i & 1);
        float sum = d[i];
        for (int k = 0; k < 16; ++k) {
            const uint32_t* fa = fragment((row & 7) * 4 + (k & 7) / 2)->a;
            const uint32_t* fb = fragment(column * 4 + (k & 7) / 2)->b;
            const float va = half(fa[(row >= 8 ? 1 : 0) + (k >= 8 ? 2 : 0)], k & 1);
            const float vb = half(fb[k >= 8 ? 1 : 0], k & 1);
            sum += va * vb;
        }
        d[i] = sum;
    }
#endif
}

// Loads four 8 x 8 matrices of 16-bit elements; lane l names row l % 8 of matrix l / 8 (16 bytes,
// 16-byte aligned, in shared memory). Transposed: each 8 x 8 is transposed on the way.
template <bool kTransposed>
__device__ __forceinline__ void load_matrix_x4(uint32_t (&r)[4], const void* row) {
#if defined(CP_DEVICE_CODE)
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    if constexpr (kTransposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];\n"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];\n"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
    }
#elif defined(CP_EMULATED_CODE)
    if ((reinterpret_cast<uintptr_t>(row) & 15) != 0) {
        emulation::stop("a matrix row is not 16-byte aligned");
    }
    uint16_t own[8];
    std::memcpy(own, row, sizeof own);  // the lane reads its own row, so a bad one shows here
    const auto* slots =
        emulation::warp_collective(0xffffffffu, kTransposed ? 102 : 101, own, sizeof own, __LINE__);
    const int lane = emulation::lane(), q = lane / 4, p = lane % 4 * 2;
    for (int m = 0; m < 4; ++m) {
        uint16_t low, high;
        if constexpr (kTransposed) {
            std::memcpy(&low, slots[m * 8 + p] + q * 2, 2);
            std::memcpy(&high, slots[m * 8 + p + 1] + q * 2, 2);
        } else {
            std::memcpy(&low, slots[m * 8 + q] + p * 2, 2);
            std::memcpy(&high, slots[m * 8 + q] + p * 2 + 2, 2);
        }
        r[m] = low | uint32_t{high} << 16;
    }
#endif
}

// Copies 16 bytes from global to shared memory in the background; `bytes` (0 or 16) are read, the
// rest is filled with zeros, so that ragged edges need no branch.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, int bytes = 16) {
#if defined(CP_DEVICE_CODE)
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
                 "r"(bytes));
#elif defined(CP_EMULATED_CODE)
    emulation::copy_later(shared, global, static_cast<size_t>(bytes));
#endif
}

__device__ __forceinline__ void copy_async_commit() {
#if defined(CP_DEVICE_CODE)
    asm volatile("cp.async.commit_group;\n");
#elif defined(CP_EMULATED_CODE)
    emulation::commit_copies();
#endif
}

// Waits until at most `kPending` of the newest groups are still under way.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
#if defined(CP_DEVICE_CODE)
    asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending));
#elif defined(CP_EMULATED_CODE)
    emulation::finish_copies(kPending);
#endif
}

}  // namespace compact
