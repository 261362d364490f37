// Runs the threads of CUDA kernels on the CPU: one fiber per CUDA thread, real barriers, real warp
// collectives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace compact::emulation {

struct Index3 {
    unsigned x, y, z;
};

enum class FiberOrder { kForward, kBackward, kShuffled };

// Order in which runnable fibers get their turn, for this host thread. A kernel whose result
// depends on it has a race.
void set_fiber_order(FiberOrder order, uint32_t seed);

// Runs `body` once per thread of every block; blocks one after another, in a random order two at a
// time. Returns when all are done.
void launch(Index3 grid, Index3 block, size_t dynamic_shared_bytes,
            const std::function<void()>& body);

// Of the fiber that is running.
Index3 thread_index();
Index3 block_index();
Index3 block_size();
Index3 grid_size();
int lane();
int warp_index();

// Shared memory: slot `id` of the running block, made on first use and filled with 0xFF (a NaN in
// fp32 and bf16), so that reading before writing shows.
void* shared_slot(int id, size_t bytes);
void* dynamic_shared();

enum class BarrierResult { kCount, kOr, kAnd };
int block_barrier(int predicate, BarrierResult result, int line);

// Every lane of `mask` calls this with the same `op`; returns the 32 slots of 64 bytes that the
// lanes deposited.
using Slot = unsigned char[64];
const Slot* warp_collective(unsigned mask, int op, const void* in, size_t bytes, int line);

// How many looks at a barrier what the hardware does in the background takes.
int random_delay();

// Lets the other threads of the block run: what a thread does that waits in a loop.
void pass_turn();

// What a thread did before order_before(object) has happened for one that then calls
// order_after(object): tells ThreadSanitizer of a barrier that is not one of the above.
void order_before(void* object);
void order_after(void* object);

// Asynchronous copies of the running fiber: 16 bytes, of which `bytes` are read and the rest
// becomes zero. The target is garbage from here on and holds the copy no sooner than it must: when
// all but the newest `pending` groups are waited for.
void copy_later(void* target, const void* source, size_t bytes);
void commit_copies();
void finish_copies(int pending);

[[noreturn]] void stop(const char* what);

}  // namespace compact::emulation
