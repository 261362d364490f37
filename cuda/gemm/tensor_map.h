// Matrices as the copy hardware of compute capability 9.0 wants them described.
#pragma once

#include "cuda/gemm/gemm.h"
#include "cuda/simt/hopper.h"

namespace compact {

// The driver's function for it, or null where the driver has none.
void* find_tensor_map_encoder();

// The stored (rows, columns) bf16 matrix of an operand with aligned rows, copied in boxes of
// (box_rows <= 256, 64) that lie in shared memory in the 128-byte swizzle.
cudaError_t make_tensor_map(const CpDevice& device, const CudaGemmOperand& operand, int64_t rows,
                            int64_t columns, int box_rows, TensorMap* map);

}  // namespace compact
