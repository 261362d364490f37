// Stacks of fibers, and going from one to the host thread that runs them and back, with what
// sanitizers have to be told of it.
#pragma once

namespace compact::emulation {

struct FiberContext {
    void* stack_pointer = nullptr;
    char* stack = nullptr;
    void* tsan = nullptr;
    void* asan_fake_stack = nullptr;
};

// Makes stacks for as many fibers of this host thread. None may be in use.
void ensure_stacks(int count);

// The `number`-th of them: `entry` runs on its stack when it is first continued. It calls
// arrive_in_fiber() first, and never returns.
void prepare_context(FiberContext& context, int number, void (*entry)());
void arrive_in_fiber();

// Of the host thread: until the fiber leaves.
void continue_fiber(FiberContext& context);
// Of a fiber: it continues here when it is next continued, unless it leaves for good.
void leave_fiber(FiberContext& context, bool for_good);

}  // namespace compact::emulation
