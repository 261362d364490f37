#include "native/cpu/quantization/decode.h"

#include "native/cpu/quantization/nf4_lanes.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

// Calls body(group, done, count) for the parts of `columns` elements from `first` on that lie in
// one group each.
template <class Body>
void for_parts(int64_t first, int64_t columns, int32_t group_shift, Body body) {
    for (int64_t done = 0; done < columns;) {
        const int64_t group = (first + done) >> group_shift;
        const int64_t left = ((group + 1) << group_shift) - (first + done);
        const int64_t count = std::min(left, columns - done);
        body(group, done, count);
        done += count;
    }
}

template <class T>
void decode_rows(const QuantizedMatrix& matrix, const MatrixBlock& block, T* out) {
    const auto* int8_codes = static_cast<const int8_t*>(matrix.codes);
    const auto* nf4_codes = static_cast<const uint8_t*>(matrix.codes);
    for (int64_t row = 0; row < block.rows; ++row) {
        const int64_t first = (block.row + row) * matrix.stride + block.column;
        T* target = out + row * block.columns;
        for_parts(first, block.columns, matrix.group_shift,
                  [&](int64_t group, int64_t done, int64_t count) {
                      const Vec scale = splat(matrix.scale(group));
                      for_lanes(count, [&](int64_t i, auto lanes) {
                          const int64_t element = first + done + i;
                          const Vec code = matrix.is_nf4()
                                               ? load_nf4(nf4_codes + element / 2, lanes)
                                               : load(int8_codes + element, lanes);
                          store(target + done + i, code * scale, lanes);
                      });
                  });
    }
}

}  // namespace

void decode_block(const QuantizedMatrix& matrix, const MatrixBlock& block, int32_t dtype,
                  void* out) {
    with_dtype(dtype,
               [&](auto type) { decode_rows(matrix, block, static_cast<decltype(type)*>(out)); });
}

}  // namespace compact::COMPACT_ISA
