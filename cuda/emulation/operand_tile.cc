#include "cuda/emulation/operand_tile.h"

#include <cstring>

#include "cuda/emulation/fibers.h"
#include "native/base/bf16.h"

namespace compact::emulation {

float tile_element(uint64_t descriptor, bool inner_contiguous, uint32_t outer, uint32_t inner) {
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

}  // namespace compact::emulation
