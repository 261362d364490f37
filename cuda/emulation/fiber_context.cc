#include "cuda/emulation/fiber_context.h"

#include <sys/mman.h>

#include <cstddef>
#include <vector>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/sanitizer_hooks.h"

#if !defined(__x86_64__)
#error "kernel emulation: the context switch is written for x86-64"
#endif

// Saves the callee-saved registers and the stack pointer of the running context, continues another.
extern "C" void compact_emulation_switch(void** save, void* to);
asm(R"(
.text
.globl compact_emulation_switch
.hidden compact_emulation_switch
.type compact_emulation_switch,@function
compact_emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size compact_emulation_switch,.-compact_emulation_switch
)");

namespace compact::emulation {
namespace {

constexpr size_t kStackBytes = 128 * 1024;
constexpr size_t kGuardBytes = 4096;

// The host thread's own context, and the stacks of its fibers.
struct HostContext {
    void* stack_pointer = nullptr;
    const void* stack_bottom = nullptr;
    size_t stack_size = 0;
    void* tsan = nullptr;
    char* stacks = nullptr;
    int num_stacks = 0;
    std::vector<void*> tsan_fibers;

    ~HostContext() { release(); }
    void release() {
        if (stacks != nullptr) munmap(stacks, static_cast<size_t>(num_stacks) * kStackBytes);
    }
};

thread_local HostContext host;

}  // namespace

void ensure_stacks(int count) {
#if defined(__SANITIZE_THREAD__)
    host.tsan = __tsan_get_current_fiber();
#endif
    if (host.num_stacks >= count) return;
    host.release();
    void* memory = mmap(nullptr, static_cast<size_t>(count) * kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) stop("no memory for fiber stacks");
    host.stacks = static_cast<char*>(memory);
    host.num_stacks = count;
    for (int i = 0; i < count; ++i) {
        mprotect(host.stacks + static_cast<size_t>(i) * kStackBytes, kGuardBytes, PROT_NONE);
    }
}

void prepare_context(FiberContext& context, int number, void (*entry)()) {
    context = {};
    context.stack = host.stacks + static_cast<size_t>(number) * kStackBytes;
#if defined(__SANITIZE_ADDRESS__)
    // The functions that a fiber was in when it finished never returned: their frames stay marked.
    constexpr size_t kLastFrames = 4096;
    __asan_unpoison_memory_region(context.stack + kStackBytes - kLastFrames, kLastFrames);
#endif
    // What compact_emulation_switch pops: six registers, then the return address.
    auto** top = reinterpret_cast<void**>(context.stack + kStackBytes - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    context.stack_pointer = top;
#if defined(__SANITIZE_THREAD__)
    // Made once and used again: making one costs more than running a small block.
    while (static_cast<int>(host.tsan_fibers.size()) <= number) {
        host.tsan_fibers.push_back(__tsan_create_fiber(0));
    }
    context.tsan = host.tsan_fibers[static_cast<size_t>(number)];
#endif
}

EMULATION_SCHEDULER void arrive_in_fiber() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &host.stack_bottom, &host.stack_size);
#endif
}

EMULATION_SCHEDULER void continue_fiber(FiberContext& context) {
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, context.stack, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(context.tsan, 1);  // 1: no happens-before between the two
#endif
    compact_emulation_switch(&host.stack_pointer, context.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

EMULATION_SCHEDULER void leave_fiber(FiberContext& context, [[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &context.asan_fake_stack, host.stack_bottom,
                                   host.stack_size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(host.tsan, 1);
#endif
    compact_emulation_switch(&context.stack_pointer, host.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(context.asan_fake_stack, nullptr, nullptr);
#endif
}

}  // namespace compact::emulation
