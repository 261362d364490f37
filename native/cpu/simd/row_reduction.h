// Sums over the rows of a matrix (gradients of norm weights and biases) in a fixed order: each
// fixed chunk of rows has its own fp32 partial sum in workspace, and the partial sums are added in
// order.
#pragma once

#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

// At most 64 partial sums, so that they stay small beside the matrix.
inline int64_t reduction_chunk_rows(int64_t rows) {
    return std::max<int64_t>(16, num_chunks(rows, 64));
}

inline int64_t reduction_workspace_bytes(int64_t rows, int64_t columns) {
    return num_chunks(rows, reduction_chunk_rows(rows)) * aligned(columns * 4);
}

// The partial sum (columns) of a chunk of rows.
inline float* partial_sum(void* workspace, int64_t chunk, int64_t columns) {
    return static_cast<float*>(workspace) + chunk * (aligned(columns * 4) / 4);
}

// output (columns) = [output +] the sum of all partial sums.
inline void reduce_partial_sums(CpDevice& device, void* workspace, int64_t rows,
                                const CpTensor& output, bool accumulate) {
    const int64_t columns = num_elements(output);
    const int64_t chunks = num_chunks(rows, reduction_chunk_rows(rows));
    with_dtype(output.dtype, [&](auto type) {
        using G = decltype(type);
        G* y = data<G>(output);
        for_chunks(device, columns, 512, [&](int64_t begin, int64_t end, int) {
            for_lanes(end - begin, [&](int64_t offset, auto lanes) {
                const int64_t i = begin + offset;
                Vec total = splat(0.0f);
                for (int64_t chunk = 0; chunk < chunks; ++chunk) {
                    total = total + load(partial_sum(workspace, chunk, columns) + i, lanes);
                }
                store(y + i, accumulate ? load(y + i, lanes) + total : total, lanes);
            });
        });
    });
}

}  // namespace compact::COMPACT_ISA
