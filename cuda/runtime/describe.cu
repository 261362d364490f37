#include <algorithm>
#include <cstdio>

#include "cuda/runtime/describe.h"
#include "cuda/simt/gpu.h"

namespace compact {
namespace {

constexpr int kOldestDriver = 13000;  // a runtime of version 13 needs a driver of the 580 series
constexpr int kOldestMajor = 8;       // bf16 products and asynchronous copies
constexpr int kProbeWords = 256;

template <size_t kSize, class... Values>
void say(char (&problem)[kSize], const char* format, Values... values) {
    std::snprintf(problem, kSize, format, values...);
}

// Values that neither zeros, nor old memory, nor a kernel of another build would hold.
__host__ __device__ __forceinline__ uint32_t probe_word(uint32_t i) {
    return (i + 1) * 2654435761u ^ 0xc0a9ac7u;
}

__global__ void __launch_bounds__(kProbeWords) probe_kernel(uint32_t* words) {
    words[threadIdx.x] = probe_word(threadIdx.x);
}

// Device memory and a stream for the probe.
struct Probe {
    cudaStream_t stream = nullptr;
    uint32_t* words = nullptr;

    Probe() = default;
    ~Probe() {
        if (words != nullptr) cudaFree(words);
        if (stream != nullptr) cudaStreamDestroy(stream);
        cudaGetLastError();
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    // `call` is the one that failed.
    cudaError_t run(uint32_t (&result)[kProbeWords], const char*& call) {
        const auto good = [&](cudaError_t status, const char* name) {
            call = name;
            return status == cudaSuccess;
        };
        cudaError_t status;
        if (!good(status = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                  "cudaStreamCreate") ||
            !good(status = cudaMalloc(&words, sizeof result), "cudaMalloc"))
            return status;
        CP_LAUNCH(probe_kernel, dim3(1), dim3(kProbeWords), 0, stream, words);
        if (!good(status = cudaGetLastError(), "a launch") ||
            !good(status =
                      cudaMemcpyAsync(result, words, sizeof result, cudaMemcpyDeviceToHost, stream),
                  "cudaMemcpy"))
            return status;
        good(status = cudaStreamSynchronize(stream), "a kernel");
        return status;
    }
};

void describe_device(int32_t index, CpDeviceInfo* info) {
    cudaDeviceProp properties{};
    const cudaError_t status = cudaGetDeviceProperties(&properties, index);
    if (status != cudaSuccess) {
        cudaGetLastError();
        return say(info->problem, "%s (%s)", cudaGetErrorName(status), cudaGetErrorString(status));
    }
    say(info->name, "%.120s", properties.name);
    info->compute_capability = properties.major * 10 + properties.minor;
    info->total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    if (properties.major < kOldestMajor)
        say(info->problem, "compute capability %d.%d; 8.0 or newer is needed", properties.major,
            properties.minor);
}

}  // namespace

void describe_cuda(CpBackendInfo* info) {
    *info = {};
    say(info->architectures, "%s", COMPACT_CUDA_ARCHITECTURES);
    cudaRuntimeGetVersion(&info->runtime);
    if (cudaDriverGetVersion(&info->driver) != cudaSuccess || info->driver == 0)
        return say(info->problem, "no NVIDIA driver was found");
    if (info->driver < kOldestDriver)
        return say(info->problem,
                   "the driver is for CUDA %d.%d; CUDA 13.0 needs the 580 series or newer",
                   info->driver / 1000, info->driver % 1000 / 10);
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        cudaGetLastError();
        if (status == cudaSuccess || status == cudaErrorNoDevice)
            return say(info->problem, "the driver shows no GPU");
        return say(info->problem, "%s (%s)", cudaGetErrorName(status), cudaGetErrorString(status));
    }
    info->num_devices = std::min(count, CP_MAX_DEVICES);
    for (int32_t i = 0; i < info->num_devices; ++i) describe_device(i, &info->devices[i]);
}

void probe_cuda(int32_t index, CpDeviceInfo* info) {
    if (*info->problem != 0) return;
    const char* call = "cudaSetDevice";
    uint32_t result[kProbeWords] = {};
    cudaError_t status = cudaSetDevice(index);
    if (status == cudaSuccess) status = Probe().run(result, call);
    if (status != cudaSuccess) {
        cudaGetLastError();
        return say(info->problem, "%s (%s) from %s", cudaGetErrorName(status),
                   cudaGetErrorString(status), call);
    }
    for (uint32_t i = 0; i < kProbeWords; ++i) {
        if (result[i] != probe_word(i))
            return say(info->problem, "a probe kernel of 1 KB gave wrong results");
    }
    size_t free_bytes = 0, total_bytes = 0;
    if (cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess)
        info->free_bytes = static_cast<int64_t>(free_bytes);
}

}  // namespace compact
