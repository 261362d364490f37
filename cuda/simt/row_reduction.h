// Sums over the rows of a matrix (gradients of norm weights and biases) in a fixed order: each
// fixed chunk of rows has its own fp32 partial sum in workspace, and the partial sums are added in
// order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/runtime/device.h"

namespace compact {

// At most 512 chunks, which occupy any GPU and stay small beside the matrix. A constant: the order
// of summation must not depend on the device.
inline int64_t reduction_chunk_rows(int64_t rows) {
    return std::max<int64_t>(8, ceil_div(rows, 512));
}

inline int64_t reduction_chunks(int64_t rows) { return ceil_div(rows, reduction_chunk_rows(rows)); }

// Of partial sums (chunks, columns).
inline int64_t reduction_workspace_bytes(int64_t rows, int64_t columns) {
    return aligned(reduction_chunks(rows) * columns * 4);
}

// output (columns) = [output +] the sum of all partial sums.
CpStatus reduce_partial_sums(CpDevice& device, const char* op, const float* partials, int64_t rows,
                             const CpTensor& output, bool accumulate, CpError* error);

}  // namespace compact
