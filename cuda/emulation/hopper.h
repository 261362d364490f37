// The emulation of cuda/simt/hopper.h: copies arrive and products are done no sooner than somebody
// waits for them, with garbage in their place until then; addresses of shared memory are offsets
// from the block's dynamic part.
#pragma once

#include <cstdint>

namespace compact::emulation {

// A bf16 matrix (rows, columns) and the box (box_rows, 64) that one copy takes of it.
struct TensorMap {
    const void* data;
    int64_t rows, columns, stride;
    int box_rows;
};

uint32_t shared_address(const void* shared);

void init_barrier(uint64_t* barrier, int count);
void arrive(uint64_t* barrier, int expected_bytes);
bool phase_is_over(uint64_t* barrier, uint32_t parity);
// Lets other threads run; `forever`: it has been long enough to say that nothing will come.
void pass_turn(bool forever);

void copy_tensor_box(void* shared, const TensorMap& map, int32_t row, int32_t column,
                     uint64_t* barrier);

// Products of the running fiber's warpgroup.
void begin_products();
void product_64x256x16(float (&d)[8][4][4], uint64_t a, bool inner_contiguous_a, uint64_t b,
                       bool inner_contiguous_b, bool accumulate);
void commit_products();
void finish_products(int pending);

}  // namespace compact::emulation
