// Tiles in shared memory that copies write and products read.
#pragma once

#include <cstdint>

namespace compact::emulation {

// The eight-row pattern in which both permute chunks of 16 bytes; of an address in shared memory.
inline uint32_t swizzle(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

// One bf16 of an operand tile, by the fields of its descriptor. `outer`: row of A or column of B.
float tile_element(uint64_t descriptor, bool inner_contiguous, uint32_t outer, uint32_t inner);

}  // namespace compact::emulation
