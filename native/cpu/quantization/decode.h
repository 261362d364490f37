// Decoding of quantised matrices, a block at a time, for whatever reads them as numbers.
#pragma once

#include <cstdint>

#include "native/base/quantized_matrix.h"
#include "native/cpu/runtime/cpu_device.h"

namespace compact {

// Of NF4, `column` is even.
struct MatrixBlock {
    int64_t row, rows, column, columns;
};

// Writes the block in a dtype, (rows, columns) without gaps: each element the code times its scale,
// rounded once.
namespace scalar {
void decode_block(const QuantizedMatrix& matrix, const MatrixBlock& block, int32_t dtype,
                  void* out);
}
#if defined(COMPACT_X86)
namespace avx2 {
void decode_block(const QuantizedMatrix& matrix, const MatrixBlock& block, int32_t dtype,
                  void* out);
}
namespace avx512 {
void decode_block(const QuantizedMatrix& matrix, const MatrixBlock& block, int32_t dtype,
                  void* out);
}
#endif

inline void decode_block(InstructionSet set, const QuantizedMatrix& matrix,
                         const MatrixBlock& block, int32_t dtype, void* out) {
#if defined(COMPACT_X86)
    if (set >= InstructionSet::kAvx512) return avx512::decode_block(matrix, block, dtype, out);
    if (set == InstructionSet::kAvx2) return avx2::decode_block(matrix, block, dtype, out);
#endif
    (void)set;
    scalar::decode_block(matrix, block, dtype, out);
}

}  // namespace compact
