#include "cuda/runtime/device_memory.h"
#include "cuda/simt/gpu.h"

#if defined(__CUDACC__)
#include <dlfcn.h>

namespace compact {
namespace {

// The driver's management library, as far as it is needed here (nvml.h).
struct NvmlMemory {
    unsigned long long total, free, used;
};
using NvmlDevice = struct NvmlDeviceRecord*;
constexpr int kNvmlSuccess = 0;

class Library {
  public:
    ~Library() {
        if (handle_ != nullptr) dlclose(handle_);
    }
    Library() = default;
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    template <class Function>
    bool find(const char* name, Function& function) const {
        if (handle_ == nullptr) return false;
        function = reinterpret_cast<Function>(dlsym(handle_, name));
        return function != nullptr;
    }

  private:
    void* handle_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
};

}  // namespace

int64_t free_bytes_without_context(int index) {
    // The library numbers devices in its own way, but knows them by their place on the bus.
    char bus_id[32];
    if (cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, index) != cudaSuccess) {
        cudaGetLastError();
        return -1;
    }
    const Library library;
    int (*init)() = nullptr;
    int (*shutdown)() = nullptr;
    int (*device_of)(const char*, NvmlDevice*) = nullptr;
    int (*memory_of)(NvmlDevice, NvmlMemory*) = nullptr;
    if (!library.find("nvmlInit_v2", init) || !library.find("nvmlShutdown", shutdown) ||
        !library.find("nvmlDeviceGetHandleByPciBusId_v2", device_of) ||
        !library.find("nvmlDeviceGetMemoryInfo", memory_of) || init() != kNvmlSuccess)
        return -1;
    NvmlDevice device = nullptr;
    NvmlMemory memory{};
    const bool found =
        device_of(bus_id, &device) == kNvmlSuccess && memory_of(device, &memory) == kNvmlSuccess;
    shutdown();
    return found ? static_cast<int64_t>(memory.free) : -1;
}

}  // namespace compact

#else

namespace compact {

int64_t free_bytes_without_context(int index) { return emulation::free_bytes(index); }

}  // namespace compact

#endif
