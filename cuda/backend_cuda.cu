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

// Versions, and how many devices there are; the reason when there is none goes to `problem`.
void describe(CpBackendInfo* info) {
    *info = {};
    std::snprintf(info->architectures, sizeof info->architectures, "%s",
                  COMPACT_CUDA_ARCHITECTURES);
    cudaRuntimeGetVersion(&info->runtime);
    const auto problem = [&](const char* text) {
        std::snprintf(info->problem, sizeof info->problem, "%s", text);
    };
    if (cudaDriverGetVersion(&info->driver) != cudaSuccess || info->driver == 0)
        return problem("no NVIDIA driver was found");
    if (info->driver < kOldestDriver) {
        char text[sizeof info->problem];
        std::snprintf(text, sizeof text,
                      "the driver is for CUDA %d.%d; CUDA 13.0 needs the 580 series or newer",
                      info->driver / 1000, info->driver % 1000 / 10);
        return problem(text);
    }
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        cudaGetLastError();
        return problem(status == cudaSuccess || status == cudaErrorNoDevice
                           ? "the driver shows no GPU"
                           : cudaGetErrorString(status));
    }
    info->num_devices = std::min(count, CP_MAX_DEVICES);
    for (int i = 0; i < info->num_devices; ++i) {
        CpDeviceInfo& device = info->devices[i];
        cudaDeviceProp properties{};
        const cudaError_t found = cudaGetDeviceProperties(&properties, i);
        if (found != cudaSuccess) {
            std::snprintf(device.problem, sizeof device.problem, "%s", cudaGetErrorString(found));
            continue;
        }
        std::snprintf(device.name, sizeof device.name, "%.120s", properties.name);
        device.compute_capability = properties.major * 10 + properties.minor;
        device.total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
        if (properties.major < 8)
            std::snprintf(device.problem, sizeof device.problem,
                          "compute capability %d.%d; 8.0 or newer is needed", properties.major,
                          properties.minor);
    }
}

void close_device(CpDevice* device) {
    if (device == nullptr) return;
    cudaSetDevice(device->index);
    for (int i = 0; i < 2; ++i) {
        if (device->staging_free[i] != nullptr) cudaEventDestroy(device->staging_free[i]);
        if (device->staging[i] != nullptr) cudaFreeHost(device->staging[i]);
    }
    for (cudaEvent_t event : device->marks) cudaEventDestroy(event);
    close_index_checks(device->index_checks);
    if (device->stream != nullptr) cudaStreamDestroy(device->stream);
    delete device;
}

CpStatus open_device(const CpDeviceOptions* options, CpDevice** result, CpError* error) {
    CpBackendInfo info;
    describe(&info);
    if (info.num_devices == 0)
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", "an NVIDIA GPU", info.problem);
    if (options->index < 0 || options->index >= info.num_devices) {
        char expected[48], received[48];
        std::snprintf(expected, sizeof expected, "a device number from 0 to %d",
                      info.num_devices - 1);
        std::snprintf(received, sizeof received, "cuda:%d", options->index);
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", expected, received);
    }
    const char* problem = info.devices[options->index].problem;
    if (*problem != 0)
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "cuda", "a usable NVIDIA GPU",
                    problem);
    std::unique_ptr<CpDevice, void (*)(CpDevice*)> device(new CpDevice, close_device);
    device->index = options->index;
    CUDA_CHECK(*device, "open", error, cudaSetDevice(device->index));
    CUDA_CHECK(*device, "open", error, cudaGetDeviceProperties(&device->properties, device->index));
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

int64_t overhead_bytes(CpDevice* device) { return device->overhead_bytes; }

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
        compact::describe,
        compact::open_device,
        compact::close_device,
        compact::allocate,
        compact::release,
        compact::write,
        compact::read,
        compact::synchronize,
        compact::overhead_bytes,
        compact::mark,
        compact::elapsed_us,
    };
    return &backend;
}
