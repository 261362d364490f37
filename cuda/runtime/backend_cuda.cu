// The backend table of NVIDIA GPUs. Memory and copies; the ops live in one file each.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "cuda/gemm/blas_lt.h"
#include "cuda/gemm/kernel_choice.h"
#include "cuda/runtime/backend_cuda.h"
#include "cuda/runtime/describe.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/device_memory.h"
#include "cuda/runtime/ops.h"

namespace compact {

namespace {

// Whether the context is gone: such an error comes back from every call, others are over once told.
bool is_lost(const CpDevice& device) {
    cudaGetLastError();
    const cudaError_t status = cudaStreamQuery(device.stream);
    cudaGetLastError();
    return status != cudaSuccess && status != cudaErrorNotReady;
}

}  // namespace

CpStatus cuda_failure(CpDevice& device, cudaError_t status, const char* op, const char* call,
                      CpError* error) {
    char received[sizeof error->received];
    std::snprintf(received, sizeof received, "%s (%s) from %s", cudaGetErrorName(status),
                  cudaGetErrorString(status), call);
    if (status != cudaErrorMemoryAllocation) {
        // A stream that records must not be asked; if the context is gone, the next call says so.
        if (device.runs.is_recording()) {
            cudaGetLastError();
            return fail(error, "ERR_COMPACT_NATIVE", op, "success", received);
        }
        device.lost = is_lost(device);
        if (device.lost)
            return fail(error, "ERR_COMPACT_DEVICE_LOST", op, "a working device", received);
        return fail(error, "ERR_COMPACT_NATIVE", op, "success", received);
    }
    cudaGetLastError();  // told, and over
    size_t free_memory = 0, total_memory = 0;
    if (cudaMemGetInfo(&free_memory, &total_memory) == cudaSuccess)
        std::snprintf(received, sizeof received, "%zu bytes free of %zu", free_memory,
                      total_memory);
    cudaGetLastError();
    return fail(error, "ERR_COMPACT_OUT_OF_MEMORY", op, "enough free device memory", received);
}

CpStatus check_launch(CpDevice& device, const char* op, CpError* error) {
    CUDA_CHECK(device, op, error, cudaGetLastError());
    return CP_OK;
}

CpStatus refuse_lost(const char* op, CpError* error) {
    return fail(error, "ERR_COMPACT_DEVICE_LOST", op, "a working device",
                "a device that failed earlier in this process");
}

namespace {

void close_device(CpDevice* device) {
    if (device == nullptr) return;
    cudaSetDevice(device->index);
    for (int i = 0; i < 2; ++i) {
        if (device->staging_free[i] != nullptr) cudaEventDestroy(device->staging_free[i]);
        if (device->staging[i] != nullptr) cudaFreeHost(device->staging[i]);
    }
    for (cudaEvent_t event : device->marks) cudaEventDestroy(event);
    close_runs(device->runs);
    close_side_stream(device->side);
    close_index_checks(device->index_checks);
    if (device->stream != nullptr) cudaStreamDestroy(device->stream);
    cudaGetLastError();  // of a lost device: nobody is left to be told
    delete device;
}

// Everything that a device holds, but for the memory of plans.
CpStatus prepare(CpDevice& device, CpError* error) {
    CUDA_CHECK(device, "open", error, cudaSetDevice(device.index));
    CUDA_CHECK(device, "open", error, cudaGetDeviceProperties(&device.properties, device.index));
    CUDA_CHECK(device, "open", error,
               cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking));
    for (int i = 0; i < 2; ++i) {
        CUDA_CHECK(device, "open", error,
                   cudaHostAlloc(&device.staging[i], kStagingBytes, cudaHostAllocDefault));
        CUDA_CHECK(device, "open", error, cudaEventCreate(&device.staging_free[i]));
        CUDA_CHECK(device, "open", error, cudaEventRecord(device.staging_free[i], device.stream));
    }
    CUDA_CHECK(device, "open", error, open_index_checks(device.index_checks));
    CUDA_CHECK(device, "open", error, open_runs(device.runs));
    CUDA_CHECK(device, "open", error, open_side_stream(device.side));
    choose_kernels(device);
    return CP_OK;
}

CpStatus refuse_device(CpError* error, const char* problem) {
    return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", "a usable NVIDIA GPU", problem);
}

CpStatus open_blas(CpDevice& device, const char* choice, CpError* error) {
    if (choice == nullptr || std::strcmp(choice, "own") == 0) return CP_OK;
    std::string problem;
    device.blas = BlasLt::open(problem);
    if (device.blas != nullptr || std::strcmp(choice, "auto") == 0) return CP_OK;
    return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "blas",
                "cuBLASLt of CUDA 12 or 13, where the system finds libraries (LD_LIBRARY_PATH)",
                problem.c_str());
}

CpStatus open_device(const CpDeviceOptions* options, CpDevice** result, CpError* error) {
    CpBackendInfo info;
    describe_cuda(&info);
    if (info.num_devices == 0) return refuse_device(error, info.problem);
    if (options->index < 0 || options->index >= info.num_devices) {
        char expected[48], received[48];
        std::snprintf(expected, sizeof expected, "a device number from 0 to %d",
                      info.num_devices - 1);
        std::snprintf(received, sizeof received, "cuda:%d", options->index);
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", expected, received);
    }
    CpDeviceInfo& found = info.devices[options->index];
    if (*found.problem != 0) return refuse_device(error, found.problem);
    const int64_t free_before = free_bytes_without_context(options->index);
    std::unique_ptr<CpDevice, void (*)(CpDevice*)> device(new CpDevice, close_device);
    device->index = options->index;
    if (prepare(*device, error) != CP_OK) {
        const bool is_full = std::strcmp(error->code, "ERR_COMPACT_OUT_OF_MEMORY") == 0;
        if (is_full) return CP_FAILED;
        const std::string problem = error->received;
        return refuse_device(error, problem.c_str());
    }
    probe_cuda(options->index, &found);
    if (*found.problem != 0) return refuse_device(error, found.problem);
    const int64_t free_after = free_bytes_without_context(options->index);
    // What other processes do meanwhile counts too; there is no way to tell it apart.
    if (free_before >= 0 && free_after >= 0)
        device->overhead_bytes = std::max<int64_t>(0, free_before - free_after);
    if (open_blas(*device, options->blas, error) != CP_OK) return CP_FAILED;
    *result = device.release();
    return CP_OK;
}

CpStatus allocate(CpDevice* device, int64_t bytes, void** data, CpError* error) {
    if (device->lost) return refuse_lost("allocate", error);
    CUDA_CHECK(*device, "allocate", error, cudaSetDevice(device->index));
    CUDA_CHECK(*device, "allocate", error,
               cudaMalloc(data, static_cast<size_t>(std::max<int64_t>(bytes, 1))));
    return CP_OK;
}

void release(CpDevice* device, void* data, int64_t) {
    cudaSetDevice(device->index);
    cudaFree(data);
    cudaGetLastError();  // of a lost device, which has given back its memory already
}

// Through pinned memory, so that the copy runs beside the kernels already enqueued and the caller's
// bytes are free again on return.
CpStatus write(CpDevice* device, void* target, const void* host, int64_t bytes, CpError* error) {
    if (device->lost) return refuse_lost("write", error);
    for (int64_t done = 0; done < bytes; done += kStagingBytes) {
        const int slot = device->next_staging;
        device->next_staging = 1 - slot;
        const auto part = static_cast<size_t>(std::min(kStagingBytes, bytes - done));
        CUDA_CHECK(*device, "write", error, cudaEventSynchronize(device->staging_free[slot]));
        std::memcpy(device->staging[slot], static_cast<const char*>(host) + done, part);
        CUDA_CHECK(*device, "write", error,
                   cudaMemcpyAsync(static_cast<char*>(target) + done, device->staging[slot], part,
                                   cudaMemcpyHostToDevice, device->stream));
        CUDA_CHECK(*device, "write", error,
                   cudaEventRecord(device->staging_free[slot], device->stream));
    }
    return CP_OK;
}

// Made in pinned memory, from where they find their places in the target.
CpStatus write_rows(CpDevice* device, void* target, int64_t stride, const CpRowSource* rows,
                    CpError* error) {
    static_assert(CP_MAX_ROW_BYTES <= kStagingBytes);
    if (device->lost) return refuse_lost("write", error);
    const int64_t most = kStagingBytes / rows->row_bytes;
    for (int64_t first = 0; first < rows->num_rows; first += most) {
        const int slot = device->next_staging;
        device->next_staging = 1 - slot;
        const int64_t count = std::min(most, rows->num_rows - first);
        CUDA_CHECK(*device, "write", error, cudaEventSynchronize(device->staging_free[slot]));
        unsigned char* const staging = device->staging[slot];
        rows->make(rows->context, first, count, staging, rows->row_bytes);
        char* const place = static_cast<char*>(target) + first * stride;
        const auto row_bytes = static_cast<size_t>(rows->row_bytes);
        const auto num_rows = static_cast<size_t>(count);
        if (stride == rows->row_bytes) {
            CUDA_CHECK(*device, "write", error,
                       cudaMemcpyAsync(place, staging, num_rows * row_bytes, cudaMemcpyHostToDevice,
                                       device->stream));
        } else {
            CUDA_CHECK(
                *device, "write", error,
                cudaMemcpy2DAsync(place, static_cast<size_t>(stride), staging, row_bytes, row_bytes,
                                  num_rows, cudaMemcpyHostToDevice, device->stream));
        }
        CUDA_CHECK(*device, "write", error,
                   cudaEventRecord(device->staging_free[slot], device->stream));
    }
    return CP_OK;
}

CpStatus read(CpDevice* device, void* host, const void* source, int64_t bytes, CpError* error) {
    if (device->lost) return refuse_lost("read", error);
    for (int64_t done = 0; done < bytes; done += kStagingBytes) {
        const int slot = device->next_staging;
        device->next_staging = 1 - slot;
        const auto part = static_cast<size_t>(std::min(kStagingBytes, bytes - done));
        CUDA_CHECK(*device, "read", error, cudaEventSynchronize(device->staging_free[slot]));
        CUDA_CHECK(*device, "read", error,
                   cudaMemcpyAsync(device->staging[slot], static_cast<const char*>(source) + done,
                                   part, cudaMemcpyDeviceToHost, device->stream));
        CUDA_CHECK(*device, "read", error, cudaStreamSynchronize(device->stream));
        std::memcpy(static_cast<char*>(host) + done, device->staging[slot], part);
    }
    return CP_OK;
}

CpStatus synchronize(CpDevice* device, CpError* error) {
    if (device->lost) return refuse_lost("synchronize", error);
    CUDA_CHECK(*device, "synchronize", error, cudaStreamSynchronize(device->stream));
    if (has_prepared(device->side))
        CUDA_CHECK(*device, "synchronize", error, cudaStreamSynchronize(device->side.stream));
    return report_bad_index(device->index_checks, device->index_checks.slot, error);
}

int64_t overhead_bytes(CpDevice* device) { return device->overhead_bytes; }

int64_t free_bytes(CpDevice* device) {
    size_t free_memory = 0, total_memory = 0;
    if (device->lost || cudaMemGetInfo(&free_memory, &total_memory) != cudaSuccess) {
        cudaGetLastError();
        return 0;
    }
    return static_cast<int64_t>(free_memory);
}

CpStatus mark(CpDevice* device, int32_t slot, CpError* error) {
    if (device->lost) return refuse_lost("mark", error);
    const auto index = static_cast<size_t>(slot);
    while (device->marks.size() <= index) {
        cudaEvent_t event = nullptr;
        CUDA_CHECK(*device, "mark", error, cudaEventCreate(&event));
        device->marks.push_back(event);
    }
    CUDA_CHECK(*device, "mark", error, cudaEventRecord(device->marks[index], device->stream));
    return CP_OK;
}

CpStatus elapsed_us(CpDevice* device, int32_t first, int32_t last, double* microseconds,
                    CpError* error) {
    if (device->lost) return refuse_lost("elapsed", error);
    float milliseconds = 0;
    CUDA_CHECK(*device, "elapsed", error,
               cudaEventElapsedTime(&milliseconds, device->marks[static_cast<size_t>(first)],
                                    device->marks[static_cast<size_t>(last)]));
    *microseconds = double{milliseconds} * 1000.0;
    return CP_OK;
}

}  // namespace
}  // namespace compact

const CpBackend* compact_cuda_backend() {
    static const CpBackend backend = {
        CP_BACKEND_VERSION,
#if defined(__CUDACC__)
        "cuda",
#else
        "cuda-emulated",
#endif
        compact::kNumCudaOps,
        compact::kCudaOps,
        compact::describe_cuda,
        compact::probe_cuda,
        compact::open_device,
        compact::close_device,
        compact::allocate,
        compact::release,
        compact::write,
        compact::write_rows,
        compact::read,
        compact::synchronize,
        compact::overhead_bytes,
        compact::free_bytes,
        compact::mark,
        compact::elapsed_us,
        &compact::kCudaRuns,
    };
    return &backend;
}
