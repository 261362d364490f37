// Sums of squares, for the norm of gradients: fp64 sums of parts that are added in order.
#pragma once

#include <cstdint>

#include "cuda/runtime/device.h"
#include "cuda/simt/launch_group.cuh"

namespace compact {

// Bytes of the sums of the parts of `count` elements.
int64_t square_sums_bytes(int64_t count);

// result = sum of x^2; x is f32 or bf16, `sums` has room for its parts.
cudaError_t sum_of_squares(CpDevice& device, const void* x, int32_t dtype, int64_t count,
                           double* sums, float* result);

// Sums that were made elsewhere, and where their sum goes.
struct SquareSums {
    const double* sums;
    int64_t count;
    float* result;
};

cudaError_t add_square_sums(CpDevice& device, const LaunchGroup<SquareSums>& group);

}  // namespace compact
