#include "cuda/emulation/hopper.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/operand_tile.h"
#include "cuda/emulation/pending_boxes.h"
#include "cuda/emulation/sanitizer_hooks.h"

// A barrier orders threads; its own counters are no memory of theirs.
#if defined(__SANITIZE_THREAD__)
#define EMULATION_UNWATCHED __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATION_UNWATCHED
#endif

namespace compact::emulation {
namespace {

// What the 64 bits of a barrier hold. Each phase parity has a place of its own that orders threads:
// a thread that waits long for one phase is not ordered after arrivals of the next.
struct Barrier {
    int32_t missing_bytes;
    uint8_t count, missing, phase, unused;
};
static_assert(sizeof(Barrier) == sizeof(uint64_t));

EMULATION_UNWATCHED void note(uint64_t* memory, int arrivals, int bytes) {
    auto* barrier = reinterpret_cast<Barrier*>(memory);
    if (arrivals > barrier->missing) stop("more threads arrive at a barrier than it counts");
    barrier->missing = static_cast<uint8_t>(barrier->missing - arrivals);
    barrier->missing_bytes += bytes;
    if (barrier->missing == 0 && barrier->missing_bytes == 0) {
        barrier->missing = barrier->count;
        barrier->phase ^= 1;
    }
}

EMULATION_UNWATCHED bool phase_of(const uint64_t* memory) {
    return reinterpret_cast<const Barrier*>(memory)->phase != 0;
}

void* order_of(uint64_t* barrier, bool parity) {
    return reinterpret_cast<char*>(barrier) + (parity ? 1 : 0);
}

// Writes a box where it was to go, on behalf of the hardware.
void deliver(PendingBox& box) {
    order_after(&box.order);
    const uint32_t begin = shared_address(box.shared);
    const TensorMap& map = box.map;
    for (int i = 0; i < map.box_rows; ++i) {
        for (int j = 0; j < 64; ++j) {
            const int64_t r = box.row + i, c = box.column + j;
            uint16_t value = 0;
            if (r >= 0 && r < map.rows && c >= 0 && c < map.columns) {
                value = static_cast<const uint16_t*>(map.data)[r * map.stride + c];
            }
            const auto offset = static_cast<uint32_t>(i * 128 + j * 2);
            std::memcpy(static_cast<char*>(dynamic_shared()) + swizzle(begin + offset), &value, 2);
        }
    }
    order_before(order_of(box.barrier, phase_of(box.barrier)));
    note(box.barrier, 0, -map.box_rows * 128);
}

// A look at a barrier: boxes that it waits for may arrive.
void look(uint64_t* barrier) {
    PendingBoxes due;
    {
        const Unwatched unwatched;
        PendingBoxes& boxes = pending_boxes();
        const auto arrives = [&](const auto& box) {
            return box->barrier == barrier && --box->looks < 0;
        };
        for (auto& box : boxes) {
            if (arrives(box)) due.push_back(std::move(box));
        }
        boxes.erase(std::remove(boxes.begin(), boxes.end(), nullptr), boxes.end());
    }
    for (const auto& box : due) deliver(*box);
}

}  // namespace

uint32_t shared_address(const void* shared) {
    return static_cast<uint32_t>(static_cast<const char*>(shared) -
                                 static_cast<const char*>(dynamic_shared()));
}

EMULATION_UNWATCHED void init_barrier(uint64_t* barrier, int count) {
    const auto threads = static_cast<uint8_t>(count);
    const Barrier state = {0, threads, threads, 0, 0};
    std::memcpy(barrier, &state, sizeof state);
}

void arrive(uint64_t* barrier, int expected_bytes) {
    order_before(order_of(barrier, phase_of(barrier)));
    note(barrier, 1, expected_bytes);
}

bool phase_is_over(uint64_t* barrier, uint32_t parity) {
    look(barrier);
    if (phase_of(barrier) == (parity != 0)) return false;
    order_after(order_of(barrier, parity != 0));
    return true;
}

void pass_turn(bool forever) {
    if (forever) stop("a thread waits for a barrier that nobody completes");
    pass_turn();
}

void copy_tensor_box(void* shared, const TensorMap& map, int32_t row, int32_t column,
                     uint64_t* barrier) {
    if (shared_address(shared) % 1024 != 0) {
        stop("a box is not copied to a multiple of 1024 bytes");
    }
    if (reinterpret_cast<uintptr_t>(map.data) % 16 != 0 || map.stride % 8 != 0) {
        stop("a matrix of boxes is not aligned to 16 bytes");
    }
    if (map.box_rows < 1 || map.box_rows > 256) stop("a box has more than 256 rows, or none");
    std::memset(shared, 0xFF, static_cast<size_t>(map.box_rows) * 128);
    const Unwatched unwatched;
    auto box = std::make_unique<PendingBox>(
        PendingBox{shared, map, row, column, barrier, random_delay(), 0});
    order_before(&box->order);
    pending_boxes().push_back(std::move(box));
}

}  // namespace compact::emulation
