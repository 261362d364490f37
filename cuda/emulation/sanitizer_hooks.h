// What the emulation tells the sanitizers about its fibers.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Scheduler code must stay invisible to ThreadSanitizer: what it does between two fibers is neither
// a race nor a synchronisation of theirs. What orders them is said by acquire() and release().
#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void* __tsan_get_current_fiber();
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#define EMULATION_SCHEDULER __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATION_SCHEDULER
#endif

namespace compact::emulation {

// Accesses in its lifetime are the scheduler's own, those of library functions among them.
struct Unwatched {
#if defined(__SANITIZE_THREAD__)
    Unwatched() { __tsan_ignore_thread_begin(); }
    ~Unwatched() { __tsan_ignore_thread_end(); }
#else
    Unwatched() {}
#endif
    Unwatched(const Unwatched&) = delete;
    Unwatched& operator=(const Unwatched&) = delete;
};

inline void acquire([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(address);
#endif
}

inline void release([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(address);
#endif
}

}  // namespace compact::emulation
