// The table of native/base/normal.h on the device: in constant memory, and from there in shared
// memory, where the threads of a warp may read different rows at once.
#pragma once

#include "cuda/simt/gpu.h"
#include "native/base/normal.h"

namespace compact {

inline constexpr int kNormalRows = 32;

struct NormalTable {
    NormalCubic rows[kNormalRows];
};

constexpr NormalTable copy_normal_table() {
    NormalTable copy{};
    for (int i = 0; i < kNormalRows; ++i) copy.rows[i] = kNormalTable[i];
    return copy;
}

namespace {

__constant__ NormalTable kConstantNormalTable = copy_normal_table();

// For every thread of a block; `table`: kNormalRows rows of shared memory.
__device__ __forceinline__ void load_normal_table(NormalCubic* table) {
    for (int i = static_cast<int>(threadIdx.x); i < kNormalRows;
         i += static_cast<int>(blockDim.x)) {
        table[i] = kConstantNormalTable.rows[i];
    }
    __syncthreads();
}

}  // namespace
}  // namespace compact
