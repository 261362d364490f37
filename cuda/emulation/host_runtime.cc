#include "cuda/emulation/host_runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "cuda/emulation/streams.h"

namespace compact::emulation {
namespace {

struct DeviceState {
    int64_t held_bytes = 0;  // by this process
    bool has_context = false;
    bool broken = false;  // by a failed kernel, for as long as the process lives
};

struct Block {
    int device;
    size_t bytes;
};

int64_t variable(const char* name, int64_t otherwise) {
    const char* text = std::getenv((std::string("COMPACT_EMULATED_") + name).c_str());
    return text == nullptr ? otherwise : std::atoll(text);
}

Machine machine_of_environment() {
    Machine machine;
    machine.driver = static_cast<int>(variable("DRIVER", machine.driver));
    machine.devices = static_cast<int>(variable("DEVICES", machine.devices));
    machine.capability = static_cast<int>(variable("CAPABILITY", machine.capability));
    machine.memory_bytes = variable("MEMORY_BYTES", machine.memory_bytes);
    machine.others_bytes = variable("OTHERS_BYTES", machine.others_bytes);
    machine.idle = variable("IDLE", 0) != 0;
    machine.fail_launch = variable("FAIL_LAUNCH", 0);
    machine.lazy = variable("LAZY", 0) != 0;
    return machine;
}

// The driver's side: what all threads of the process share.
struct Driver {
    std::mutex mutex;
    Machine machine = machine_of_environment();
    std::map<int, DeviceState> devices;
    std::map<void*, Block> blocks;                                 // of device memory
    std::map<std::pair<int, const void*>, size_t> dynamic_shared;  // of kernels, by device
    CallCounts counts;

    int64_t free_bytes(int index) {
        return machine.memory_bytes - machine.others_bytes - devices[index].held_bytes;
    }
    // What the first use of a device by a process does, and what every later use finds.
    cudaError_t use(int index) {
        DeviceState& device = devices[index];
        if (device.broken) return cudaErrorLaunchFailure;
        if (!device.has_context) {
            if (free_bytes(index) < kContextBytes) return cudaErrorMemoryAllocation;
            device.held_bytes += kContextBytes;
            device.has_context = true;
        }
        return cudaSuccess;
    }
};

// Never destroyed: the process may end while engines are still at work.
Driver& driver() {
    static Driver* const instance = new Driver;
    return *instance;
}

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

cudaError_t noted(cudaError_t status) {
    if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
    return status;
}

cudaError_t use_current() {
    const std::lock_guard lock(driver().mutex);
    return noted(driver().use(current_device));
}

void set_machine(const Machine& machine) {
    const std::lock_guard lock(driver().mutex);
    driver().machine = machine;
    if (machine.fail_launch > 0) driver().machine.fail_launch += driver().counts.launches;
    if (machine.fail_capture > 0) driver().machine.fail_capture += driver().counts.captured;
    for (auto& [index, device] : driver().devices) device.broken = false;
    last_error = cudaSuccess;
}

CallCounts call_counts() {
    const std::lock_guard lock(driver().mutex);
    return driver().counts;
}

void count(int64_t CallCounts::*number, int64_t change) {
    const std::lock_guard lock(driver().mutex);
    driver().counts.*number += change;
}

Machine current_machine() {
    const std::lock_guard lock(driver().mutex);
    return driver().machine;
}

bool may_capture() {
    const std::lock_guard lock(driver().mutex);
    return ++driver().counts.captured != driver().machine.fail_capture;
}

int64_t free_bytes(int index) {
    const std::lock_guard lock(driver().mutex);
    return driver().free_bytes(index);
}

size_t shared_memory_limit() {
    // CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
    constexpr size_t kKilobyte = 1024;
    switch (current_machine().capability) {
        case 80:
        case 87:
            return 163 * kKilobyte;
        case 90:
        case 100:
        case 103:
            return 227 * kKilobyte;
        default:
            return 99 * kKilobyte;
    }
}

cudaError_t set_dynamic_shared(const void* kernel, int bytes) {
    if (bytes < 0 || static_cast<size_t>(bytes) > shared_memory_limit()) {
        return noted(cudaErrorInvalidValue);
    }
    const std::lock_guard lock(driver().mutex);
    driver().dynamic_shared[{current_device, kernel}] = static_cast<size_t>(bytes);
    return cudaSuccess;
}

bool can_launch(const void* kernel, Index3 grid, Index3 block, size_t dynamic_shared_bytes) {
    constexpr size_t kUnset = 48 * 1024;
    const uint64_t threads = uint64_t{block.x} * block.y * block.z;
    const bool empty = grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0;
    const bool possible =
        !empty && threads <= 1024 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
    if (!possible) {
        noted(cudaErrorInvalidConfiguration);
        return false;
    }
    size_t allowed = kUnset;
    {
        const std::lock_guard lock(driver().mutex);
        const auto set = driver().dynamic_shared.find({current_device, kernel});
        if (set != driver().dynamic_shared.end()) allowed = std::max(allowed, set->second);
    }
    if (dynamic_shared_bytes > allowed) noted(cudaErrorInvalidValue);
    return dynamic_shared_bytes <= allowed;
}

bool begin_launch() {
    Driver& all = driver();
    const std::lock_guard lock(all.mutex);
    const cudaError_t status = noted(all.use(current_device));
    // The launch that fails succeeds as a call: faults of kernels show at a later one.
    if (++all.counts.launches == all.machine.fail_launch) all.devices[current_device].broken = true;
    return status == cudaSuccess && !all.devices[current_device].broken && !all.machine.idle;
}

cudaError_t allocate(void** data, size_t bytes) {
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    Driver& all = driver();
    const std::lock_guard lock(all.mutex);
    ++all.counts.allocations;
    const cudaError_t status = all.use(current_device);
    if (status != cudaSuccess) return noted(status);
    if (static_cast<int64_t>(bytes) > all.free_bytes(current_device))
        return noted(cudaErrorMemoryAllocation);
    *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (*data == nullptr) return noted(cudaErrorMemoryAllocation);
    std::memset(*data, 0xFF, bytes);
    all.blocks[*data] = {current_device, bytes};
    all.devices[current_device].held_bytes += static_cast<int64_t>(bytes);
    return cudaSuccess;
}

cudaError_t allocate_host(void** data, size_t bytes) {
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    Driver& all = driver();
    const std::lock_guard lock(all.mutex);
    ++all.counts.allocations;
    const cudaError_t status = all.use(current_device);
    if (status != cudaSuccess) return noted(status);
    *data = std::malloc(bytes);
    return *data == nullptr ? noted(cudaErrorMemoryAllocation) : cudaSuccess;
}

}  // namespace compact::emulation

using namespace compact::emulation;

const char* cudaGetErrorName(cudaError_t status) {
    switch (status) {
        case cudaSuccess:
            return "cudaSuccess";
        case cudaErrorMemoryAllocation:
            return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration:
            return "cudaErrorInvalidConfiguration";
        case cudaErrorInsufficientDriver:
            return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice:
            return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice:
            return "cudaErrorInvalidDevice";
        case cudaErrorLaunchFailure:
            return "cudaErrorLaunchFailure";
        case cudaErrorStreamCaptureUnsupported:
            return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated:
            return "cudaErrorStreamCaptureInvalidated";
        case cudaErrorStreamCaptureUnjoined:
            return "cudaErrorStreamCaptureUnjoined";
        default:
            return "cudaErrorUnknown";
    }
}

const char* cudaGetErrorString(cudaError_t) { return "emulated"; }

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaDriverGetVersion(int* version) {
    *version = driver().machine.driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
    const Machine& machine = driver().machine;
    *count = machine.driver < 13000 ? 0 : machine.devices;
    if (machine.driver < 13000) return noted(cudaErrorInsufficientDriver);
    return machine.devices == 0 ? noted(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
    if (index < 0 || index >= driver().machine.devices) return noted(cudaErrorInvalidDevice);
    current_device = index;
    return use_current();
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
    const Machine& machine = driver().machine;
    if (index < 0 || index >= machine.devices) return noted(cudaErrorInvalidDevice);
    *properties = {};
    std::strcpy(properties->name, "emulated on the CPU");
    properties->totalGlobalMem = static_cast<size_t>(machine.memory_bytes);
    properties->sharedMemPerBlockOptin = shared_memory_limit();
    properties->major = machine.capability / 10;
    properties->minor = machine.capability % 10;
    properties->multiProcessorCount = 4;
    properties->l2CacheSize = 32 << 20;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_memory, size_t* total_memory) {
    const cudaError_t status = use_current();
    if (status != cudaSuccess) return status;
    *free_memory = static_cast<size_t>(free_bytes(current_device));
    *total_memory = static_cast<size_t>(driver().machine.memory_bytes);
    return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    Driver& all = driver();
    const std::lock_guard lock(all.mutex);
    ++all.counts.allocations;
    const auto block = all.blocks.find(data);
    if (block == all.blocks.end())
        return data == nullptr ? cudaSuccess : noted(cudaErrorInvalidValue);
    all.devices[block->second.device].held_bytes -= static_cast<int64_t>(block->second.bytes);
    all.blocks.erase(block);
    std::free(data);
    return noted(all.use(current_device));
}

cudaError_t cudaFreeHost(void* data) {
    if (refuse_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
    count(&CallCounts::allocations);
    std::free(data);
    return use_current();
}
