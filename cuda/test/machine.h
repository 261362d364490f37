// A backend with one open device, and blocks of its memory between guard bytes. Everything passes
// through the backend's table, so the device may be a GPU.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "native/backend/backend.h"
#include "native/cpu/runtime/cpu_device.h"
#include "native/test/check.h"

// AddressSanitizer watches the guards of the emulation's memory.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define COMPACT_POISON(memory, bytes) ASAN_POISON_MEMORY_REGION(memory, bytes)
#define COMPACT_UNPOISON(memory, bytes) ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#else
#define COMPACT_POISON(memory, bytes) ((void)0)
#define COMPACT_UNPOISON(memory, bytes) ((void)0)
#endif

namespace compact::test {

class Machine {
  public:
    explicit Machine(const CpBackend* backend) : backend_(backend) {
        CpDeviceOptions options{};
        options.threads = 2;
        // The CPU's: AMX would round the probabilities of attention as the kernels do, and hide it.
        options.instruction_set =
            instruction_set_available(InstructionSet::kAvx512) ? "avx512" : "auto";
        CHECK(backend->open(&options, &device_, &error_) == CP_OK);
    }
    ~Machine() { backend_->close(device_); }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    bool is_emulated() const { return std::strcmp(backend_->name, "cuda-emulated") == 0; }
    const CpBackend& backend() const { return *backend_; }
    CpDevice* device() const { return device_; }
    const CpError& error() const { return error_; }

    const CpOp* op(const char* name) const {
        for (int32_t i = 0; i < backend_->num_ops; ++i) {
            if (std::strcmp(backend_->ops[i].name, name) == 0) return &backend_->ops[i];
        }
        return nullptr;
    }

    // A block with these bytes, which no op may change unless they are its output.
    char* place(const std::string& contents, bool is_output) {
        const auto bytes = static_cast<int64_t>(contents.size());
        void* memory = nullptr;
        CHECK(backend_->allocate(device_, bytes + 2 * kGuardBytes, &memory, &error_) == CP_OK);
        const std::string guard(kGuardBytes, kGuard);
        put(memory, guard + contents + guard);
        blocks_.push_back({static_cast<char*>(memory), bytes, is_output ? "" : contents});
        if (is_emulated()) {
            COMPACT_POISON(memory, kGuardBytes);
            COMPACT_POISON(blocks_.back().data() + bytes, kGuardBytes);
        }
        return blocks_.back().data();
    }
    // An output or a workspace: large finite numbers to begin with.
    char* place_noise(int64_t bytes) {
        return place(std::string(static_cast<size_t>(bytes), '\x7e'), true);
    }
    std::string get(const void* memory, int64_t bytes) {
        std::string contents(static_cast<size_t>(bytes), '\0');
        CHECK(backend_->read(device_, contents.data(), memory, bytes, &error_) == CP_OK);
        return contents;
    }
    void put(void* memory, const std::string& contents) {
        CHECK(backend_->write(device_, memory, contents.data(),
                              static_cast<int64_t>(contents.size()), &error_) == CP_OK);
    }

    CpStatus run(const CpOp* op, CpCall& call) {
        if (prepare(op, call) != CP_OK) return CP_FAILED;
        if (op->run(device_, &call, &error_) != CP_OK) return CP_FAILED;
        return backend_->synchronize(device_, &error_);
    }
    CpStatus run_group(const CpOp* op, std::vector<CpCall>& calls) {
        for (CpCall& call : calls) {
            if (prepare(op, call) != CP_OK) return CP_FAILED;
        }
        const auto count = static_cast<int32_t>(calls.size());
        if (op->run_group(device_, calls.data(), count, &error_) != CP_OK) return CP_FAILED;
        return backend_->synchronize(device_, &error_);
    }

    // Gives all blocks back; false when something was written beside them or over an input.
    bool release_all() {
        bool intact = true;
        const std::string guard(kGuardBytes, kGuard);
        for (const Block& block : blocks_) {
            COMPACT_UNPOISON(block.memory, static_cast<size_t>(block.bytes + 2 * kGuardBytes));
            const std::string found = get(block.memory, block.bytes + 2 * kGuardBytes);
            intact = intact && found.substr(0, kGuardBytes) == guard &&
                     found.substr(static_cast<size_t>(block.bytes) + kGuardBytes) == guard &&
                     (block.contents.empty() ||
                      found.compare(kGuardBytes, block.contents.size(), block.contents) == 0);
            backend_->release(device_, block.memory, block.bytes + 2 * kGuardBytes);
        }
        blocks_.clear();
        return intact;
    }

  private:
    // Checks a call and gives it a workspace.
    CpStatus prepare(const CpOp* op, CpCall& call) {
        CpLimits limits{};
        limits.threads = 2;
        error_ = {};
        if (op->check != nullptr && op->check(&call, &error_) != CP_OK) return CP_FAILED;
        call.workspace_bytes = op->workspace_bytes(&call, &limits);
        call.workspace = place_noise(call.workspace_bytes);
        return CP_OK;
    }

    // A multiple of the 256 bytes to which blocks are aligned. The pattern is a NaN in fp32 and
    // bf16, so that what is read there shows in a result.
    static constexpr int64_t kGuardBytes = 256;
    static constexpr char kGuard = '\xff';

    struct Block {
        char* memory;
        int64_t bytes;
        std::string contents;  // of an input
        char* data() const { return memory + kGuardBytes; }
    };
    const CpBackend* backend_;
    CpDevice* device_ = nullptr;
    CpError error_{};
    std::vector<Block> blocks_;
};

// The two that are compared.
Machine& cpu_machine();
Machine& cuda_machine();
// A CUDA device that was opened with this variable set.
std::unique_ptr<Machine> machine_with(const char* variable, const char* value);

}  // namespace compact::test
