#include "cuda/emulation/tensor_core.h"

#include <cstring>

#include "cuda/emulation/bank_conflicts.h"
#include "cuda/emulation/fibers.h"
#include "native/base/bf16.h"

namespace compact::emulation {

void product_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    struct Fragment {
        uint32_t a[4], b[2];
    };
    const Fragment own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    const auto* slots = warp_collective(0xffffffffu, 100, &own, sizeof own, __LINE__);
    const auto half = [](uint32_t word, int odd) {
        return bf16_to_float(static_cast<uint16_t>(odd != 0 ? word >> 16 : word));
    };
    const auto fragment = [&](int from) { return reinterpret_cast<const Fragment*>(slots[from]); };
    const int group = lane() >> 2, pair = lane() & 3;
    for (int i = 0; i < 4; ++i) {
        const int row = group + (i >= 2 ? 8 : 0), column = pair * 2 + (i & 1);
        float sum = d[i];
        for (int k = 0; k < 16; ++k) {
            const uint32_t* fa = fragment((row & 7) * 4 + (k & 7) / 2)->a;
            const uint32_t* fb = fragment(column * 4 + (k & 7) / 2)->b;
            const float va = half(fa[(row >= 8 ? 1 : 0) + (k >= 8 ? 2 : 0)], k & 1);
            const float vb = half(fb[k >= 8 ? 1 : 0], k & 1);
            sum += va * vb;
        }
        d[i] = sum;
    }
}

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed) {
    if ((reinterpret_cast<uintptr_t>(row) & 15) != 0) {
        stop("a matrix row is not 16-byte aligned");
    }
    struct Row {
        uint16_t elements[8];
        const void* address;
    };
    Row own{};
    std::memcpy(own.elements, row, 16);  // the lane reads its own row, so a bad one shows here
    own.address = row;
    const auto* slots =
        warp_collective(0xffffffffu, transposed ? 102 : 101, &own, sizeof own, __LINE__);
    if (lane() == 0) {
        Addresses rows;
        for (size_t i = 0; i < rows.size(); ++i) {
            rows[i] = reinterpret_cast<const Row*>(slots[i])->address;
        }
        count_matrix_load(rows);
    }
    const int q = lane() / 4, p = lane() % 4 * 2;
    for (int m = 0; m < 4; ++m) {
        uint16_t low, high;
        if (transposed) {
            std::memcpy(&low, slots[m * 8 + p] + q * 2, 2);
            std::memcpy(&high, slots[m * 8 + p + 1] + q * 2, 2);
        } else {
            std::memcpy(&low, slots[m * 8 + q] + p * 2, 2);
            std::memcpy(&high, slots[m * 8 + q] + p * 2 + 2, 2);
        }
        r[m] = low | uint32_t{high} << 16;
    }
}

}  // namespace compact::emulation
