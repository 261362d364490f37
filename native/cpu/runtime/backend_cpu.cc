// The CPU as a backend of the engine: built into the addon, always there.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "native/backend/call.h"
#include "native/backend/registry.h"
#include "native/base/host_memory.h"
#include "native/cpu/runtime/cpu_device.h"
#include "native/cpu/runtime/ops.h"

namespace compact {
namespace {

constexpr InstructionSet kInstructionSets[] = {InstructionSet::kScalar, InstructionSet::kAvx2,
                                               InstructionSet::kAvx512, InstructionSet::kAvx512Bf16,
                                               InstructionSet::kAmxBf16};

void describe(CpBackendInfo* info) {
    *info = {};
    std::strcpy(info->architectures, instruction_set_name(detect_instruction_set()));
    info->num_devices = 1;
    std::strcpy(info->devices[0].name, "CPU");
}

void probe(int32_t, CpDeviceInfo*) {}

CpStatus choose_instruction_set(const char* name, InstructionSet* chosen, CpError* error) {
    if (name == nullptr || std::strcmp(name, "auto") == 0) {
        *chosen = detect_instruction_set();
        return CP_OK;
    }
    std::string available = "auto";
    for (InstructionSet set : kInstructionSets) {
        if (!instruction_set_available(set)) continue;
        if (std::strcmp(name, instruction_set_name(set)) == 0) {
            *chosen = set;
            return CP_OK;
        }
        available += std::string(", ") + instruction_set_name(set);
    }
    return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "instructionSet", available.c_str(), name);
}

CpStatus open(const CpDeviceOptions* options, CpDevice** device, CpError* error) {
    if (options->index != 0) {
        return fail(error, "ERR_COMPACT_DEVICE_UNAVAILABLE", "open", "device 0 of the CPU",
                    std::to_string(options->index).c_str());
    }
    if (options->threads < 1) {
        return fail(error, "ERR_COMPACT_ARGUMENT", "open", "at least 1 thread",
                    std::to_string(options->threads).c_str());
    }
    InstructionSet set;
    if (choose_instruction_set(options->instruction_set, &set, error) != CP_OK) return CP_FAILED;
    try {
        *device = new CpDevice{ThreadPool(options->threads), set};
        return CP_OK;
    } catch (const std::exception& exception) {
        return fail(error, "ERR_COMPACT_NATIVE", "open", "a device", exception.what());
    }
}

void close(CpDevice* device) { delete device; }

CpStatus allocate(CpDevice*, int64_t bytes, void** data, CpError* error) {
    *data = host_allocate(bytes);
    if (*data != nullptr) return CP_OK;
    return fail(error, "ERR_COMPACT_OUT_OF_MEMORY", "allocate",
                (std::to_string(bytes) + " bytes").c_str(), "no memory");
}

void release(CpDevice*, void* data, int64_t bytes) { host_release(data, bytes); }

// Ops are done when their call returns, so copies need no ordering.
CpStatus write(CpDevice*, void* target, const void* host, int64_t bytes, CpError*) {
    std::memcpy(target, host, static_cast<size_t>(bytes));
    return CP_OK;
}

// Rows of a task: whole tiles of what turns them round, and about a quarter of a cache of the
// second level.
CpStatus write_rows(CpDevice* device, void* target, int64_t stride, const CpRowSource* rows,
                    CpError* error) {
    constexpr int64_t kTileRows = 64, kTaskBytes = int64_t{256} << 10;
    const int64_t tiles = std::max<int64_t>(1, kTaskBytes / (rows->row_bytes * kTileRows));
    const int64_t task_rows = tiles * kTileRows;
    try {
        device->pool.parallel_for(
            (rows->num_rows + task_rows - 1) / task_rows, [=](int64_t task, int) {
                const int64_t first = task * task_rows;
                rows->make(rows->context, first, std::min(task_rows, rows->num_rows - first),
                           static_cast<char*>(target) + first * stride, stride);
            });
        return CP_OK;
    } catch (const std::exception& exception) {
        return fail(error, "ERR_COMPACT_NATIVE", "write", "threads", exception.what());
    }
}

CpStatus read(CpDevice*, void* host, const void* source, int64_t bytes, CpError*) {
    std::memcpy(host, source, static_cast<size_t>(bytes));
    return CP_OK;
}

CpStatus synchronize(CpDevice*, CpError*) { return CP_OK; }

int64_t overhead_bytes(CpDevice*) { return 0; }

int64_t free_bytes(CpDevice*) { return 0; }

CpStatus mark(CpDevice* device, int32_t slot, CpError* error) {
    try {
        const auto index = static_cast<size_t>(slot);
        if (device->marks.size() <= index) device->marks.resize(index + 1);
        device->marks[index] = std::chrono::steady_clock::now();
        return CP_OK;
    } catch (const std::exception& exception) {
        return fail(error, "ERR_COMPACT_OUT_OF_MEMORY", "mark", "memory", exception.what());
    }
}

CpStatus elapsed_us(CpDevice* device, int32_t first, int32_t last, double* microseconds, CpError*) {
    const auto elapsed =
        device->marks[static_cast<size_t>(last)] - device->marks[static_cast<size_t>(first)];
    *microseconds = std::chrono::duration<double, std::micro>(elapsed).count();
    return CP_OK;
}

}  // namespace
}  // namespace compact

extern "C" const CpBackend* compact_cpu_backend() {
    using namespace compact;
    // Made on the first call and never changed.
    static const CpBackend backend = {CP_BACKEND_VERSION,
                                      "cpu",
                                      cpu_ops().num_ops,
                                      cpu_ops().ops,
                                      describe,
                                      probe,
                                      open,
                                      close,
                                      allocate,
                                      release,
                                      write,
                                      write_rows,
                                      read,
                                      synchronize,
                                      overhead_bytes,
                                      free_bytes,
                                      mark,
                                      elapsed_us};
    return &backend;
}
