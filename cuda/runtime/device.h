// The CUDA backend's device: one GPU, one stream. Everything an op enqueues goes to that stream,
// but for what is prepared on the side (side_stream.h); no op allocates or synchronises.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/runtime/index_check.h"
#include "cuda/runtime/runs.h"
#include "cuda/runtime/side_stream.h"
#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"
#include "native/backend/call.h"

namespace compact {
class BlasLt;
}

struct CpDevice {
    int index = 0;
    cudaStream_t stream = nullptr;
    cudaDeviceProp properties{};
    // Two pinned buffers in turn, so that filling one overlaps the copy of the other.
    unsigned char* staging[2] = {nullptr, nullptr};
    cudaEvent_t staging_free[2] = {nullptr, nullptr};
    int next_staging = 0;
    compact::IndexChecks index_checks;
    compact::DeviceRuns runs;
    compact::SideStream side;
    std::vector<cudaEvent_t> marks;
    std::shared_ptr<compact::BlasLt> blas;  // null: our own products alone
    bool projection_in_kernel = false;      // see GemmTuning
    bool narrow_tiles = false;              // of products on tensor cores; see GemmTuning
    void* tensor_map_encoder = nullptr;     // null: no products of gemm_warpgroup.cuh
    int64_t overhead_bytes = 0;             // of the device, by opening it: context, code, queue
    // A failed kernel leaves the context unusable for good; every later call says so.
    bool lost = false;
};

namespace compact {

inline constexpr int64_t kStagingBytes = 4 << 20;

// Turns a runtime failure into a typed error. Marks the device lost when the error is sticky.
CpStatus cuda_failure(CpDevice& device, cudaError_t status, const char* op, const char* call,
                      CpError* error);

CpStatus refuse_lost(const char* op, CpError* error);

// After a launch: reports a bad configuration at once; faults inside the kernel surface at the end
// of the run.
CpStatus check_launch(CpDevice& device, const char* op, CpError* error);

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

template <class T>
T* data(const CpTensor& tensor) {
    return static_cast<T*>(tensor.data);
}

// Bytes rounded up, so that every part of a workspace begins where cuBLASLt takes it.
inline int64_t aligned(int64_t bytes) { return round_up(bytes, 256); }

// Calls body with a null pointer of the element type that `dtype` (f32 or bf16) stands for:
// dispatch(dtype, [&](auto* type) { using T = std::remove_pointer_t<decltype(type)>; ... })
template <class Body>
void dispatch(int32_t dtype, Body&& body) {
    if (dtype == CP_BF16) {
        body(static_cast<Bf16*>(nullptr));
    } else {
        body(static_cast<float*>(nullptr));
    }
}

}  // namespace compact

#define CUDA_CHECK(device, op, error, call)                                    \
    do {                                                                       \
        const cudaError_t status_ = (call);                                    \
        if (status_ != cudaSuccess)                                            \
            return ::compact::cuda_failure(device, status_, op, #call, error); \
    } while (false)
