#include "cuda/emulation/fibers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda/emulation/bank_conflicts.h"
#include "cuda/emulation/fiber_context.h"
#include "cuda/emulation/host_runtime.h"
#include "cuda/emulation/pending_boxes.h"
#include "cuda/emulation/pending_copies.h"
#include "cuda/emulation/pending_products.h"
#include "cuda/emulation/sanitizer_hooks.h"

namespace compact::emulation {
namespace {

constexpr int kWarpSize = 32;
constexpr int kMaxSharedSlots = 32;

enum class State { kReady, kAtCollective, kAtBarrier, kDone };

// Lanes of one mask that meet in collectives. Two slot sets in turn: a lane can be at most one
// collective ahead of the slowest reader of the previous one.
struct Group {
    unsigned mask = 0, arrived = 0, generation = 0;
    int op = 0, line = 0;
    alignas(16) Slot slots[2][kWarpSize];
};

struct Warp {
    std::vector<std::unique_ptr<Group>> groups;
};

// What orders the threads of a barrier, or of a collective, stands in two places in turn. With one
// place a thread that leaves a barrier late would also be ordered after what others did since then,
// on their way to the next one, where they might have got to by then.
struct Block {
    Index3 index{};
    int first_fiber = 0;
    int live = 0, arrived = 0;
    unsigned barriers = 0;            // that have opened
    char order[2] = {};               // of every second barrier
    int count = 0, any = 0, all = 1;  // of the barrier being collected
    int result[3] = {};               // of the last one
    void* shared[kMaxSharedSlots] = {};
    void* dynamic = nullptr;
    size_t shared_bytes = 0;  // of both kinds
    std::vector<Warp> warps;
    PendingBoxes boxes;
    ConflictCounts conflicts;
};

struct Fiber {
    Block* block = nullptr;
    FiberContext context;
    State state = State::kReady;
    Index3 thread{};
    int linear = 0;
    const char* waiting_at = "";
    int line = 0;
    PendingCopies copies;
    PendingProducts products;
};

// All of the scheduler's state belongs to the host thread that launches.
struct Scheduler {
    FiberOrder order = FiberOrder::kForward;
    uint32_t seed = 1;
    Index3 grid{}, block_size{};
    Block* block = nullptr;
    Fiber* current = nullptr;
    std::vector<Fiber> fibers;
    const std::function<void()>* body = nullptr;
    char begun = 0, finished = 0;  // what orders the host and the fibers of a launch
};

thread_local Scheduler scheduler;

// Leaves the running fiber; it continues here at its next turn.
EMULATION_SCHEDULER void yield_to_scheduler() {
    Fiber* self = scheduler.current;
    leave_fiber(self->context, self->state == State::kDone);
}

EMULATION_SCHEDULER void run(Fiber& fiber) {
    scheduler.current = &fiber;
    scheduler.block = fiber.block;
    continue_fiber(fiber.context);
    scheduler.current = nullptr;
    scheduler.block = nullptr;
}

EMULATION_SCHEDULER void open_barrier(Block& block) {
    block.result[0] = block.count;
    block.result[1] = block.any;
    block.result[2] = block.all;
    block.count = block.any = 0;
    block.all = 1;
    block.arrived = 0;
    ++block.barriers;
    for (Fiber& fiber : scheduler.fibers) {
        if (fiber.block == &block && fiber.state == State::kAtBarrier) fiber.state = State::kReady;
    }
}

EMULATION_SCHEDULER void leave_block(Fiber& self, Block& block) {
    const Unwatched unwatched;
    self.state = State::kDone;
    --block.live;
    release(&block.order[block.barriers & 1]);
    release(&scheduler.finished);
    if (block.live > 0 && block.arrived == block.live) open_barrier(block);
    for (const auto& group : block.warps[self.linear / kWarpSize].groups) {
        if (group->arrived != 0 && (group->mask >> (self.linear % kWarpSize) & 1) != 0) {
            stop("a lane named in a warp mask returned while others wait for it");
        }
    }
}

void check_nothing_pends(const PendingProducts& products) {
    if (!products.groups.empty() || !products.uncommitted.empty()) {
        stop("a thread ends with products that it has not waited for");
    }
}

EMULATION_SCHEDULER void fiber_main() {
    arrive_in_fiber();
    acquire(&scheduler.begun);
    (*scheduler.body)();
    check_nothing_pends(scheduler.current->products);
    leave_block(*scheduler.current, *scheduler.block);
    yield_to_scheduler();
    stop("a finished fiber was continued");
}

void prepare_fiber(int number, Block& block, int linear) {
    const Index3 size = scheduler.block_size;
    const auto n = static_cast<unsigned>(linear);
    Fiber& fiber = scheduler.fibers[static_cast<size_t>(number)];
    fiber = Fiber{};
    fiber.block = &block;
    fiber.linear = linear;
    fiber.thread = {n % size.x, n / size.x % size.y, n / size.x / size.y};
    prepare_context(fiber.context, number, fiber_main);
}

uint32_t next_random(uint32_t& state) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void shuffle(std::vector<int>& turn) {
    for (size_t i = turn.size() - 1; i > 0; --i) {
        std::swap(turn[i], turn[next_random(scheduler.seed) % static_cast<uint32_t>(i + 1)]);
    }
}

[[noreturn]] void stop_at_deadlock() {
    std::fprintf(stderr, "kernel emulation: deadlock; waiting threads:\n");
    int shown = 0;
    for (const Fiber& fiber : scheduler.fibers) {
        if (fiber.state == State::kDone || shown++ >= 8) continue;
        std::fprintf(stderr, "  thread %d at %s, line %d\n", fiber.linear, fiber.waiting_at,
                     fiber.line);
    }
    std::abort();
}

std::unique_ptr<Block> make_block(Index3 index, int first_fiber, int threads,
                                  size_t dynamic_shared_bytes) {
    auto block = std::make_unique<Block>();
    block->index = index;
    block->first_fiber = first_fiber;
    block->live = threads;
    block->warps.resize(static_cast<size_t>((threads + kWarpSize - 1) / kWarpSize));
    if (dynamic_shared_bytes > 0) {
        block->dynamic = std::aligned_alloc(128, (dynamic_shared_bytes + 127) / 128 * 128);
        std::memset(block->dynamic, 0xFF, dynamic_shared_bytes);
        block->shared_bytes = dynamic_shared_bytes;
    }
    for (int i = 0; i < threads; ++i) prepare_fiber(first_fiber + i, *block, i);
    return block;
}

void end_block(Block& block) {
    if (!block.boxes.empty()) stop("a block ends with boxes that it has not waited for");
    note_conflicts(block.conflicts);
    for (void* slot : block.shared) std::free(slot);
    std::free(block.dynamic);
}

// Blocks that are on a multiprocessor together.
void run_blocks(const std::vector<Index3>& indices, size_t dynamic_shared_bytes) {
    const Unwatched unwatched;
    const Index3 size = scheduler.block_size;
    const int threads = static_cast<int>(size.x * size.y * size.z);
    const int fibers = threads * static_cast<int>(indices.size());
    scheduler.fibers.resize(static_cast<size_t>(fibers));
    // On the heap: memory there is new to ThreadSanitizer, so that what orders the fibers of one
    // block does not order them after those of the block before.
    std::vector<std::unique_ptr<Block>> blocks;
    for (const Index3& index : indices) {
        const int first_fiber = threads * static_cast<int>(blocks.size());
        blocks.push_back(make_block(index, first_fiber, threads, dynamic_shared_bytes));
    }
    std::vector<int> turn(static_cast<size_t>(fibers));
    std::iota(turn.begin(), turn.end(), 0);
    if (scheduler.order == FiberOrder::kBackward) std::reverse(turn.begin(), turn.end());
    for (int done = 0; done < fibers;) {
        if (scheduler.order == FiberOrder::kShuffled) shuffle(turn);
        bool progress = false;
        for (int i : turn) {
            Fiber& fiber = scheduler.fibers[static_cast<size_t>(i)];
            if (fiber.state != State::kReady) continue;
            progress = true;
            run(fiber);
            if (fiber.state == State::kDone) ++done;
        }
        if (!progress) stop_at_deadlock();
    }
    for (const auto& block : blocks) end_block(*block);
}

// A place in a random order of `count`: i times a number that has no divisor in common with it.
uint64_t shuffled_place(uint64_t i, uint64_t count) {
    uint64_t factor = 0x9E3779B1u % count;
    while (std::gcd(factor, count) != 1) ++factor;
    return (i % count * factor + count / 3) % count;
}

}  // namespace

void stop(const char* what) {
    std::fprintf(stderr, "kernel emulation: %s", what);
    if (scheduler.current != nullptr && scheduler.block != nullptr) {
        const Index3 b = scheduler.block->index, t = scheduler.current->thread;
        std::fprintf(stderr, " [block %u,%u,%u thread %u,%u,%u line %d]", b.x, b.y, b.z, t.x, t.y,
                     t.z, scheduler.current->line);
    }
    std::fputc('\n', stderr);
    std::abort();
}

void set_fiber_order(FiberOrder order, uint32_t seed) {
    scheduler.order = order;
    scheduler.seed = seed == 0 ? 1 : seed;
}

void launch(Index3 grid, Index3 block, size_t dynamic_shared_bytes,
            const std::function<void()>& body) {
    const uint64_t threads = uint64_t{block.x} * block.y * block.z;
    scheduler.grid = grid;
    scheduler.block_size = block;
    scheduler.body = &body;
    const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
    const bool is_shuffled = scheduler.order == FiberOrder::kShuffled;
    // Two at a time where the order is random, so that nobody leans on one being over before the
    // other begins.
    const uint64_t together = is_shuffled && blocks > 1 ? 2 : 1;
    ensure_stacks(static_cast<int>(threads * together));
    release(&scheduler.begun);
    const auto index_of = [&](uint64_t i) {
        uint64_t j = i;
        if (scheduler.order == FiberOrder::kBackward) j = blocks - 1 - i;
        if (is_shuffled) j = shuffled_place(i, blocks);
        return Index3{static_cast<unsigned>(j % grid.x), static_cast<unsigned>(j / grid.x % grid.y),
                      static_cast<unsigned>(j / grid.x / grid.y)};
    };
    for (uint64_t i = 0; i < blocks; i += together) {
        std::vector<Index3> indices{index_of(i)};
        if (together == 2 && i + 1 < blocks) indices.push_back(index_of(i + 1));
        run_blocks(indices, dynamic_shared_bytes);
    }
    acquire(&scheduler.finished);
    scheduler.body = nullptr;
}

Index3 thread_index() { return scheduler.current->thread; }
Index3 block_index() { return scheduler.block->index; }
Index3 block_size() { return scheduler.block_size; }
Index3 grid_size() { return scheduler.grid; }
int lane() { return scheduler.current->linear % kWarpSize; }

void* shared_slot(int id, size_t bytes) {
    const Unwatched unwatched;
    Block& block = *scheduler.block;
    if (id < 0 || id >= kMaxSharedSlots) stop("too many shared arrays in one file");
    void*& slot = block.shared[id];
    if (slot == nullptr) {
        slot = std::aligned_alloc(128, (bytes + 127) / 128 * 128);
        std::memset(slot, 0xFF, bytes);
        block.shared_bytes += (bytes + 15) / 16 * 16;
        if (block.shared_bytes > shared_memory_limit()) {
            stop("a block has more shared memory than devices of this capability give");
        }
    }
    return slot;
}

PendingCopies& pending_copies() { return scheduler.current->copies; }
PendingProducts& pending_products() { return scheduler.current->products; }
PendingBoxes& pending_boxes() { return scheduler.block->boxes; }
ConflictCounts& conflict_counts() { return scheduler.block->conflicts; }
int warp_index() { return scheduler.current->linear / kWarpSize; }

int random_delay() {
    constexpr uint32_t kLongest = 4;
    if (scheduler.order != FiberOrder::kShuffled) return 1;
    return static_cast<int>(next_random(scheduler.seed) % kLongest);
}

void* dynamic_shared() { return scheduler.block->dynamic; }

EMULATION_SCHEDULER void pass_turn() {
    const Unwatched unwatched;
    yield_to_scheduler();
}

void order_before(void* object) { release(object); }
void order_after(void* object) { acquire(object); }

EMULATION_SCHEDULER int block_barrier(int predicate, BarrierResult result, int line) {
    const Unwatched unwatched;
    Fiber* self = scheduler.current;
    Block& block = *scheduler.block;
    self->line = line;
    self->waiting_at = "__syncthreads";
    block.count += predicate != 0;
    block.any |= predicate != 0;
    block.all &= predicate != 0;
    void* const order = &block.order[block.barriers & 1];
    release(order);
    if (++block.arrived == block.live) {
        open_barrier(block);
    } else {
        self->state = State::kAtBarrier;
        yield_to_scheduler();
    }
    acquire(order);
    return block.result[static_cast<int>(result)];
}

EMULATION_SCHEDULER const Slot* warp_collective(unsigned mask, int op, const void* in, size_t bytes,
                                                int line) {
    const Unwatched unwatched;
    Fiber* self = scheduler.current;
    const int own_lane = self->linear % kWarpSize;
    Warp& warp = scheduler.block->warps[static_cast<size_t>(self->linear / kWarpSize)];
    self->line = line;
    self->waiting_at = "a warp collective";
    if ((mask >> own_lane & 1) == 0) stop("a lane calls a warp collective whose mask omits it");
    Group* group = nullptr;
    for (const auto& candidate : warp.groups) {
        if (candidate->mask == mask) {
            group = candidate.get();
        } else if ((candidate->mask & mask) != 0 && candidate->arrived != 0) {
            stop("warp collectives with overlapping masks are in flight");
        }
    }
    if (group == nullptr) {
        warp.groups.push_back(std::make_unique<Group>());
        group = warp.groups.back().get();
        group->mask = mask;
    }
    if (group->arrived == 0) {
        group->op = op;
        group->line = line;
    } else if (group->op != op) {
        stop("lanes of one warp disagree on the collective");
    }
    Slot* slots = group->slots[group->generation & 1];
    if (bytes > 0) __builtin_memcpy(slots[own_lane], in, bytes);
    release(slots);
    group->arrived |= 1u << own_lane;
    if (group->arrived == mask) {
        group->arrived = 0;
        ++group->generation;
        const auto first =
            static_cast<size_t>(self->block->first_fiber + self->linear / kWarpSize * kWarpSize);
        for (int i = 0; i < kWarpSize; ++i) {
            if (i != own_lane && (mask >> i & 1) != 0) {
                scheduler.fibers[first + static_cast<size_t>(i)].state = State::kReady;
            }
        }
    } else {
        self->state = State::kAtCollective;
        yield_to_scheduler();
    }
    acquire(slots);
    return slots;
}

}  // namespace compact::emulation
