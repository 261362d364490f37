// Instructions of a warp on small matrices, each lane with its part of them.
#pragma once

#include <cstdint>

namespace compact::emulation {

// d (16 x 8, fp32) += a (16 x 16, bf16, row-major) * b (16 x 8, bf16, column-major).
void product_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

// Four 8 x 8 matrices of 16-bit elements from shared memory; lane l names row l % 8 of matrix l
// / 8.
void load_matrices(uint32_t (&r)[4], const void* row, bool transposed);

}  // namespace compact::emulation
