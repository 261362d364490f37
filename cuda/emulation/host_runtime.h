// The part of the CUDA host runtime that this project calls, over devices that exist in memory
// only: device memory is the process's own, each block a malloc filled with 0xFF, so that
// AddressSanitizer sees accesses outside it. Streams and graphs: streams.h.
//
// The machine can be given faults, by environment variables that are read once, or by
// set_machine():
//
//   COMPACT_EMULATED_DRIVER         version of the driver, e.g. 12080; 0: none
//   COMPACT_EMULATED_DEVICES        how many devices there are
//   COMPACT_EMULATED_CAPABILITY     compute capability of the devices, e.g. 75
//   COMPACT_EMULATED_MEMORY_BYTES   memory of each device
//   COMPACT_EMULATED_OTHERS_BYTES   what other processes hold of it
//   COMPACT_EMULATED_IDLE           1: kernels do nothing, as on a device that does not compute
//   COMPACT_EMULATED_FAIL_LAUNCH    the n-th launch of the process breaks its device for good
//   COMPACT_EMULATED_LAZY           1: what is enqueued runs no sooner than something waits for it
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "cuda/emulation/fibers.h"

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorIllegalState = 401,
    cudaErrorNotReady = 600,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorStreamCaptureMerge = 902,
    cudaErrorStreamCaptureUnmatched = 903,
    cudaErrorStreamCaptureUnjoined = 904,
    cudaErrorStreamCaptureIsolation = 905,
    cudaErrorCapturedEvent = 907,
    cudaErrorGraphExecUpdateFailure = 910,
};
using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
struct cudaGraphExecUpdateResultInfo {
    int result;
};
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
};
struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlockOptin;
    int major, minor, multiProcessorCount, l2CacheSize;
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0;

namespace compact::emulation {

struct Machine {
    int driver = 13000;
    int devices = 1;
    int capability = 80;
    int64_t memory_bytes = int64_t{4} << 30;
    int64_t others_bytes = 0;
    bool idle = false;
    int64_t fail_launch = 0;  // 0: never
    bool lazy = false;
    int64_t fail_capture = 0;  // the n-th thing that is captured cannot be; 0: never
    bool refuse_graphs = false;
    bool refuse_updates = false;
};

// Another machine, whose devices are whole and empty but for what this process holds.
void set_machine(const Machine& machine);

// Calls of this process so far.
struct CallCounts {
    int64_t allocations = 0;       // of device and of pinned memory, frees included
    int64_t synchronizations = 0;  // with everything that was enqueued
    int64_t event_waits = 0;
    int64_t launches = 0;  // of kernels, those in graphs included
    int64_t graph_launches = 0;
    int64_t instantiations = 0;
    int64_t graphs_alive = 0;
    int64_t captured = 0;  // kernels, copies and fills that became nodes
};
CallCounts call_counts();
void count(int64_t CallCounts::*number, int64_t change = 1);
Machine current_machine();

// A context takes this much of a device when the process first uses it.
inline constexpr int64_t kContextBytes = int64_t{64} << 20;

// Memory of a device that nobody holds; needs no context.
int64_t free_bytes(int index);

// Shared memory that a block may have at most, on devices of the machine's capability.
size_t shared_memory_limit();

// Whether a launch is within the limits of devices, and those that were set for its kernel; else it
// is an error of this call.
bool can_launch(const void* kernel, Index3 grid, Index3 block, size_t dynamic_shared_bytes);

cudaError_t set_dynamic_shared(const void* kernel, int bytes);

// Whether the launch that is about to happen is to run its kernel.
bool begin_launch();

// Gives a stream something to do, or a node to its capture.
enum class WorkKind { kKernel, kCopy, kSet };
using Work = std::function<void()>;
cudaError_t enqueue(cudaStream_t stream, WorkKind kind, Work work);

cudaError_t allocate(void** data, size_t bytes);
cudaError_t allocate_host(void** data, size_t bytes);

}  // namespace compact::emulation

const char* cudaGetErrorName(cudaError_t status);
const char* cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int index);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
template <class T>
cudaError_t cudaMalloc(T** data, size_t bytes) {
    return compact::emulation::allocate(reinterpret_cast<void**>(data), bytes);
}
cudaError_t cudaFree(void* data);
template <class T>
cudaError_t cudaHostAlloc(T** data, size_t bytes, unsigned) {
    return compact::emulation::allocate_host(reinterpret_cast<void**>(data), bytes);
}
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source,
                              size_t source_pitch, size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int value) {
    return compact::emulation::set_dynamic_shared(reinterpret_cast<const void*>(kernel), value);
}
