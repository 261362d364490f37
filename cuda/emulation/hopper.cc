#include "cuda/emulation/hopper.h"

#include <cstring>

#include "cuda/emulation/fibers.h"
#include "native/base/bf16.h"

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

// The eight-row pattern that copies write and products read.
uint32_t swizzle(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

// One bf16 of an operand tile, by the fields of its descriptor. `outer`: row of A or column of B.
float element(uint64_t descriptor, bool inner_contiguous, uint32_t outer, uint32_t inner) {
    if (descriptor >> 62 != 1) stop("a tile is not in the 128-byte swizzle");
    const auto field = [&](int shift) {
        return static_cast<uint32_t>(descriptor >> shift & 0x3fff) << 4;
    };
    const uint32_t begin = field(0), block = field(16), atom = field(32);
    const uint32_t offset =
        inner_contiguous ? outer / 8 * atom + outer % 8 * 128 + inner * 2
                         : outer / 64 * block + outer % 64 * 2 + inner / 8 * atom + inner % 8 * 128;
    uint16_t bits;
    std::memcpy(&bits, static_cast<const char*>(dynamic_shared()) + swizzle(begin + offset), 2);
    return bf16_to_float(bits);
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
    const uint32_t begin = shared_address(shared);
    if (begin % 1024 != 0) stop("a box is not copied to a multiple of 1024 bytes");
    if (reinterpret_cast<uintptr_t>(map.data) % 16 != 0 || map.stride % 8 != 0) {
        stop("a matrix of boxes is not aligned to 16 bytes");
    }
    for (int i = 0; i < map.box_rows; ++i) {
        for (int j = 0; j < 64; ++j) {
            const int64_t r = row + i, c = column + j;
            uint16_t value = 0;
            if (r >= 0 && r < map.rows && c >= 0 && c < map.columns) {
                value = static_cast<const uint16_t*>(map.data)[r * map.stride + c];
            }
            const auto offset = static_cast<uint32_t>(i * 128 + j * 2);
            std::memcpy(static_cast<char*>(dynamic_shared()) + swizzle(begin + offset), &value, 2);
        }
    }
    order_before(order_of(barrier, phase_of(barrier)));
    note(barrier, 0, -map.box_rows * 128);
}

void product_64x256x16(float (&d)[8][4][4], uint64_t a, bool inner_contiguous_a, uint64_t b,
                       bool inner_contiguous_b, bool accumulate) {
    const uint32_t thread = thread_index().x % 128, lane = thread % 32;
    const uint32_t row = thread / 32 * 16 + lane / 4;
    float rows[2][16];
    for (uint32_t k = 0; k < 16; ++k) {
        for (uint32_t i = 0; i < 2; ++i) {
            rows[i][k] = element(a, inner_contiguous_a, row + 8 * i, k);
        }
    }
    for (uint32_t block = 0; block < 32; ++block) {
        for (uint32_t i = 0; i < 2; ++i) {
            const uint32_t column = block * 8 + lane % 4 * 2 + i;
            float top = accumulate ? d[block / 4][block % 4][i] : 0.0f;
            float bottom = accumulate ? d[block / 4][block % 4][2 + i] : 0.0f;
            for (uint32_t k = 0; k < 16; ++k) {
                const float value = element(b, inner_contiguous_b, column, k);
                top += rows[0][k] * value;
                bottom += rows[1][k] * value;
            }
            d[block / 4][block % 4][i] = top;
            d[block / 4][block % 4][2 + i] = bottom;
        }
    }
}

}  // namespace compact::emulation
