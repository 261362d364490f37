// The backend table of NVIDIA GPUs. Memory and copies; the ops live in one file each.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cuda/backend_cuda.h"
#include "cuda/device.h"
#include "cuda/ops.h"

namespace compact {

CpStatus cuda_failure(CpDevice& device, cudaError_t status, const char* op, const char* call,
                      CpError* error) {
    char received[sizeof error->received];
    std::snprintf(received, sizeof received, "%s (%s) from %s", cudaGetErrorName(status),
                  cudaGetErrorString(status), call);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();  // not sticky: clear it, the device stays usable
        return fail(error, "ERR_COMPACT_OUT_OF_MEMORY", op, "enough free device memory", received);
    }
    device.lost = true;
    return fail(error, "ERR_COMPACT_DEVICE_LOST", op, "a working device", received);
}

CpStatus check_launch(CpDevice& device, const char* op, CpError* error) {
    CUDA_CHECK(device, op, error, cudaGetLastError());
    return CP_OK;
}

namespace {

constexpr int kOldestDriver = 13000;  // a runtime of version 13 needs a driver of the 580 series

CpStatus refuse_lost(const char* op, CpError* error) {
    return fail(error, "ERR_COMPACT_DEVICE_LOST", op, "a working device",
                "a device that failed earlier in this process");
}

int32_t num_devices(CpError* error) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
        fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", "an NVIDIA driver", "none");
        return 0;
    }
    if (driver < kOldestDriver) {
        char received[64];
        std::snprintf(received, sizeof received, "a driver for CUDA %d.%d", driver / 1000,
                      driver % 1000 / 10);
        fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda",
             "a driver of the 580 series or newer (CUDA 13.0)", received);
        return 0;
    }
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        cudaGetLastError();
        fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", "at least one NVIDIA GPU",
             status == cudaSuccess ? "none" : cudaGetErrorString(status));
        return 0;
    }
    return count;
}

void close_device(CpDevice* device) {
    if (device == nullptr) return;
    cudaSetDevice(device->index);
    for (int i = 0; i < 2; ++i) {
        if (device->staging_free[i] != nullptr) cudaEventDestroy(device->staging_free[i]);
        if (device->staging[i] != nullptr) cudaFreeHost(device->staging[i]);
    }
    close_index_checks(device->index_checks);
    if (device->stream != nullptr) cudaStreamDestroy(device->stream);
    delete device;
}

CpStatus open_device(const CpDeviceOptions* options, CpDevice** result, CpError* error) {
    const int count = num_devices(error);
    if (count == 0) return CP_FAILED;
    if (options->index < 0 || options->index >= count) {
        char expected[48], received[48];
        std::snprintf(expected, sizeof expected, "a device number from 0 to %d", count - 1);
        std::snprintf(received, sizeof received, "cuda:%d", options->index);
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", expected, received);
    }
    std::unique_ptr<CpDevice, void (*)(CpDevice*)> device(new CpDevice, close_device);
    device->index = options->index;
    CUDA_CHECK(*device, "open", error, cudaSetDevice(device->index));
    CUDA_CHECK(*device, "open", error, cudaGetDeviceProperties(&device->properties, device->index));
    if (device->properties.major < 8) {
        char received[sizeof error->received];
        std::snprintf(received, sizeof received, "%.120s, compute capability %d.%d",
                      device->properties.name, device->properties.major, device->properties.minor);
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda",
                    "compute capability 8.0 or newer", received);
    }
    CUDA_CHECK(*device, "open", error,
               cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
    for (int i = 0; i < 2; ++i) {
        CUDA_CHECK(*device, "open", error,
                   cudaHostAlloc(&device->staging[i], kStagingBytes, cudaHostAllocDefault));
        CUDA_CHECK(*device, "open", error, cudaEventCreate(&device->staging_free[i]));
        CUDA_CHECK(*device, "open", error,
                   cudaEventRecord(device->staging_free[i], device->stream));
    }
    CUDA_CHECK(*device, "open", error, open_index_checks(device->index_checks));
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
    return report_bad_index(device->index_checks, error);
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
        compact::num_devices,
        compact::open_device,
        compact::close_device,
        compact::allocate,
        compact::release,
        compact::write,
        compact::read,
        compact::synchronize,
    };
    return &backend;
}
