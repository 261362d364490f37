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

// Before a loop whose arrays must stay in registers.
#define CP_UNROLL _Pragma("unroll")

// A parameter of a kernel that threads read where it lies, at places known only when they run.
#define CP_GRID_CONSTANT __grid_constant__

#else
#include "cuda/emulation/emulation.h"
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
    emulation::product_16x8x16(d, a, b);
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
    emulation::load_matrices(r, row, kTransposed);
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

// The same where `wanted`, else 16 zeros; the source must be an address in any case.
__device__ __forceinline__ void copy_async_16_if(bool wanted, void* shared, const void* global) {
#if defined(CP_DEVICE_CODE)
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile(
        "{\n.reg .pred p;\nsetp.eq.b32 p, %2, 0;\n"
        "cp.async.cg.shared.global [%0], [%1], 16, p;\n}\n" ::"r"(address),
        "l"(global), "r"(static_cast<int>(wanted)));
#elif defined(CP_EMULATED_CODE)
    emulation::copy_later(shared, global, wanted ? 16 : 0);
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
