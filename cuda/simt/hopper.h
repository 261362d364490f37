// What compute capability 9.0 alone has: tensor-core instructions of a warpgroup (four warps) whose
// operands lie in shared memory, boxes of a matrix copied there by hardware, and barriers that
// count the bytes of such copies. Wrappers as in gpu.h: device code of 90a, or the emulation's.
//
// A tile in shared memory is made of rows of 128 bytes, whose chunks of 16 bytes are permuted
// within groups of eight rows (the 128-byte swizzle); it begins at a multiple of 1024 bytes.
#pragma once

#include "cuda/simt/gpu.h"

#if defined(__CUDACC__)
#include <cuda.h>  // types alone; nothing of it is linked
#endif

// Kernels have a body where this is defined.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(CP_EMULATED_CODE)
#define CP_HOPPER_CODE 1
#endif

namespace compact {

#if defined(__CUDACC__)
using TensorMap = CUtensorMap;
#else
using TensorMap = emulation::TensorMap;
#endif

inline constexpr int kSwizzleBytes = 128, kSwizzleAtomBytes = 1024;

#if defined(CP_HOPPER_CODE)

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
#if defined(CP_DEVICE_CODE)
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
#else
    return emulation::shared_address(shared);
#endif
}

// ---- Barriers: a phase ends when `count` threads have arrived and all announced bytes are there
// --

__device__ __forceinline__ void init_barrier(uint64_t* barrier, int count) {
#if defined(CP_DEVICE_CODE)
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)),
                 "r"(count));
#else
    emulation::init_barrier(barrier, count);
#endif
}

// After init_barrier, before other threads and the copy hardware use the barriers.
__device__ __forceinline__ void publish_barriers() {
#if defined(CP_DEVICE_CODE)
    asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
#endif
    __syncthreads();
}

__device__ __forceinline__ void arrive(uint64_t* barrier) {
#if defined(CP_DEVICE_CODE)
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier))
                 : "memory");
#else
    emulation::arrive(barrier, 0);
#endif
}

// Arrives, and announces bytes that copies will bring.
__device__ __forceinline__ void arrive_and_expect(uint64_t* barrier, int bytes) {
#if defined(CP_DEVICE_CODE)
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)),
        "r"(bytes)
        : "memory");
#else
    emulation::arrive(barrier, bytes);
#endif
}

__device__ __forceinline__ bool phase_is_over(uint64_t* barrier, uint32_t parity) {
#if defined(CP_DEVICE_CODE)
    uint32_t over;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}\n"
        : "=r"(over)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
    return over != 0;
#else
    return emulation::phase_is_over(barrier, parity);
#endif
}

#if defined(CP_DEVICE_CODE)
__device__ __forceinline__ uint64_t global_nanoseconds() {
    uint64_t time;
    asm volatile("mov.u64 %0, %globaltimer;\n" : "=l"(time));
    return time;
}
#endif

// Until the phase with this parity (0 for the first, then 1, 0, ...) is over. A wait without end
// becomes an error of the launch: after four seconds, where a product takes milliseconds.
__device__ __forceinline__ void wait_for_phase(uint64_t* barrier, uint32_t parity) {
    if (phase_is_over(barrier, parity)) return;
#if defined(CP_DEVICE_CODE)
    constexpr uint64_t kNanoseconds = uint64_t{4} * 1000 * 1000 * 1000;
    const uint64_t begin = global_nanoseconds();
    while (!phase_is_over(barrier, parity)) {
        if (global_nanoseconds() - begin > kNanoseconds) __trap();
    }
#else
    constexpr int kMaxTries = 1 << 16;
    for (int tries = 1; !phase_is_over(barrier, parity); ++tries) {
        emulation::pass_turn(tries == kMaxTries);
    }
#endif
}

// ---- Copies ----------------------------------------------------------------------------------

// The box of `map` from (row, column) on, to shared memory, zero outside the matrix; its bytes
// count for `barrier`. One thread calls this.
__device__ __forceinline__ void copy_box(void* shared, const TensorMap& map, int32_t row,
                                         int32_t column, uint64_t* barrier) {
#if defined(CP_DEVICE_CODE)
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2, %3}], [%4];\n" ::"r"(shared_address(shared)),
        "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
        : "memory");
#else
    emulation::copy_tensor_box(shared, map, row, column, barrier);
#endif
}

// ---- Products of a warpgroup -------------------------------------------------------------------

// Where a tile of an operand lies. Inner-contiguous tiles: a row of 128 bytes for each row of A or
// column of B, 64 inner elements long. Otherwise: blocks of 64 rows of A or columns of B, a row of
// 128 bytes for each inner element, `block_bytes` from one block to the next.
__device__ __forceinline__ uint64_t tile_descriptor(const void* shared, int block_bytes) {
    constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
    return kSwizzle128 | static_cast<uint64_t>(kSwizzleAtomBytes >> 4) << 32 |
           static_cast<uint64_t>(block_bytes >> 4) << 16 | (shared_address(shared) & 0x3ffffu) >> 4;
}

// What to add to a descriptor for the next 16 inner elements.
template <bool kInnerContiguous>
inline constexpr uint64_t kNextSixteen = (kInnerContiguous ? 32 : 16 * kSwizzleBytes) >> 4;

// Registers that an instruction in flight writes are not to be touched or moved across this.
__device__ __forceinline__ void hold(float (&d)[8][4][4]) {
#if defined(CP_DEVICE_CODE)
    CP_UNROLL
    for (int s = 0; s < 8; ++s) {
        CP_UNROLL
        for (int j = 0; j < 4; ++j) {
            CP_UNROLL
            for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(d[s][j][i])::"memory");
        }
    }
#else
    (void)d;
#endif
}

// The threads of a warp go through this together, and through wait_for_products().
__device__ __forceinline__ void begin_products() {
#if defined(CP_DEVICE_CODE)
    asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory");
#else
    emulation::begin_products();
    emulation::warp_collective(0xffffffffu, 103, nullptr, 0, __LINE__);
#endif
}

__device__ __forceinline__ void commit_products() {
#if defined(CP_DEVICE_CODE)
    asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
#else
    emulation::commit_products();
#endif
}

// Until at most `kPending` of the newest commits are under way.
template <int kPending>
__device__ __forceinline__ void wait_for_products() {
#if defined(CP_DEVICE_CODE)
    asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
#else
    emulation::finish_products(kPending);
    emulation::warp_collective(0xffffffffu, 104, nullptr, 0, __LINE__);
#endif
}

#define CP_SUMS_4(s, j) "+f"(d[s][j][0]), "+f"(d[s][j][1]), "+f"(d[s][j][2]), "+f"(d[s][j][3])
#define CP_SUMS_16(s) CP_SUMS_4(s, 0), CP_SUMS_4(s, 1), CP_SUMS_4(s, 2), CP_SUMS_4(s, 3)

// d (64 x 256, fp32) = a (64 x 16, bf16) b (16 x 256, bf16) (+ d), in the background. Warp w of the
// group holds rows 16 w ... 16 w + 15, in slabs of 32 columns as in gemm_epilogue.cuh.
template <bool kInnerContiguousA, bool kInnerContiguousB>
__device__ __forceinline__ void product_64x256x16(float (&d)[8][4][4], uint64_t a, uint64_t b,
                                                  bool accumulate) {
#if defined(CP_DEVICE_CODE)
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
        "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
        "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
        "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
        "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
        "}, %128, %129, p, 1, 1, %131, %132;\n}\n"
        : CP_SUMS_16(0), CP_SUMS_16(1), CP_SUMS_16(2), CP_SUMS_16(3), CP_SUMS_16(4), CP_SUMS_16(5),
          CP_SUMS_16(6), CP_SUMS_16(7)
        : "l"(a), "l"(b), "r"(accumulate ? 1 : 0), "n"(kInnerContiguousA ? 0 : 1),
          "n"(kInnerContiguousB ? 0 : 1));
#else
    emulation::product_64x256x16(d, a, kInnerContiguousA, b, kInnerContiguousB, accumulate);
#endif
}

#undef CP_SUMS_4
#undef CP_SUMS_16

// ---- Registers of a warpgroup: from one that copies to those that multiply
// ------------------------

template <int kRegisters>
__device__ __forceinline__ void give_registers() {
#if defined(CP_DEVICE_CODE)
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
#endif
}

template <int kRegisters>
__device__ __forceinline__ void take_registers() {
#if defined(CP_DEVICE_CODE)
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
#endif
}

#endif  // CP_HOPPER_CODE

}  // namespace compact
