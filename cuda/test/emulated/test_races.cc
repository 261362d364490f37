// ThreadSanitizer reports what nothing orders. Kernels with a race run in a process of their own,
// which the report ends; the same kernels made right end well.
#include <array>
#include <cstdlib>
#include <string>

#include "cuda/simt/gpu.h"
#include "cuda/test/emulated/child.h"
#include "cuda/test/options.h"
#include "native/test/check.h"

namespace compact::test {
namespace {

constexpr int kThreads = 64;
constexpr const char* kVariable = "COMPACT_TEST_RACE";  // which kernel the child runs

#if defined(__SANITIZE_THREAD__)
constexpr bool kIsWatched = true;
#else
constexpr bool kIsWatched = false;
#endif

// Every thread reads what one of the other warp has written.
void reverse_block(int* out, bool is_right) {
    CP_SHARED(int[kThreads], shared);
    const unsigned thread = threadIdx.x;
    shared[thread] = static_cast<int>(thread);
    if (is_right) __syncthreads();
    out[blockIdx.x * kThreads + thread] = shared[kThreads - 1 - thread];
}

// The same within a warp.
void reverse_warp(int* out, bool is_right) {
    CP_SHARED(int[kThreads], shared);
    const unsigned thread = threadIdx.x;
    shared[thread] = static_cast<int>(thread);
    if (is_right) __syncwarp();
    out[blockIdx.x * kThreads + thread] = shared[thread ^ 31u];
}

// Shared memory is written again before all have read it.
void rotate_twice(int* out, bool is_right) {
    CP_SHARED(int[kThreads], shared);
    const unsigned thread = threadIdx.x;
    shared[thread] = static_cast<int>(thread);
    __syncthreads();
    const int next = shared[(thread + 1) % kThreads];
    if (is_right) __syncthreads();
    shared[thread] = next;
    __syncthreads();
    out[blockIdx.x * kThreads + thread] = shared[(thread + 1) % kThreads];
}

// Blocks have no order, and so have threads of two of them.
void write_from_two_blocks(int* out, bool is_right) {
    if (threadIdx.x != blockIdx.x) return;
    out[is_right ? blockIdx.x : 0] = static_cast<int>(blockIdx.x);
}

struct Racy {
    const char* name;
    void (*kernel)(int*, bool);
};
constexpr Racy kRacy[] = {{"reverse_block", reverse_block},
                          {"reverse_warp", reverse_warp},
                          {"rotate_twice", rotate_twice},
                          {"write_from_two_blocks", write_from_two_blocks}};

void run_kernel(const std::string& wanted) {
    std::array<int, 2 * kThreads> out{};
    cudaStream_t stream = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    for (const auto& [name, kernel] : kRacy) {
        for (const bool is_right : {false, true}) {
            if (wanted != name + std::string(is_right ? "+" : "-")) continue;
            CP_LAUNCH(kernel, dim3(2), dim3(kThreads), 0, stream, out.data(), is_right);
        }
    }
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

int exit_code_of_child(const std::string& wanted) {
    return run_as_child("cuda_races_are_reported", kVariable, wanted,
                        "TSAN_OPTIONS=halt_on_error=1")
        .exit_code;
}

}  // namespace

TEST(cuda_races_are_reported) {
    if (const char* wanted = std::getenv(kVariable)) return run_kernel(wanted);
    if (!kIsWatched) return skip("ThreadSanitizer does not watch this build");
    constexpr int kReported = 66;  // ThreadSanitizer's own
    for (const Racy& racy : kRacy) {
        const std::string name = racy.name;
        if (!CHECK(exit_code_of_child(name + "-") == kReported))
            std::printf("      %s\n", name.c_str());
        if (!CHECK(exit_code_of_child(name + "+") == 0)) std::printf("      %s\n", name.c_str());
    }
}

}  // namespace compact::test
