// rope: rotates each pair (i, i + headSize/2) of a head by the angle of its token's position, whose
// cosines and sines are a row of the tables; inverse=1 rotates back, which is the gradient. Su et
// al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check_positions(const int32_t* positions, int64_t rows, int64_t table_rows,
                         CpError* error) {
    for (int64_t row = 0; row < rows; ++row) {
        if (positions[row] < 0 || positions[row] >= table_rows) {
            return fail_index(error, "rope", "positions", table_rows, positions[row], row);
        }
    }
    return CP_OK;
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const int64_t table_rows = call->inputs[1].shape[0], half = call->inputs[1].shape[1];
    const float* cosines = data<float>(call->inputs[1]);        // (table_rows, half)
    const float* sines = data<float>(call->inputs[2]);          // (table_rows, half)
    const int32_t* positions = data<int32_t>(call->inputs[3]);  // (rows) or null
    if (positions != nullptr && check_positions(positions, rows, table_rows, error) != CP_OK) {
        return CP_FAILED;
    }
    const float direction = attribute(*call, "inverse") != 0.0 ? -1.0f : 1.0f;
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);       // (rows, width)
        T* y = data<T>(call->outputs[0]);  // (rows, width)
        for_chunks(*device, rows, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const int64_t position = positions ? positions[row] : row % table_rows;
                const float* cosine = cosines + position * half;
                const float* sine = sines + position * half;
                for (int64_t head = 0; head < width; head += 2 * half) {
                    const T* from = x + row * width + head;
                    T* to = y + row * width + head;
                    for_lanes(half, [=](int64_t i, auto lanes) {
                        const Vec c = load(cosine + i, lanes);
                        const Vec s = load(sine + i, lanes) * splat(direction);
                        const Vec a = load(from + i, lanes), b = load(from + half + i, lanes);
                        store(to + i, a * c - b * s, lanes);
                        store(to + half + i, b * c + a * s, lanes);
                    });
                }
            }
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kRopeOp = {"rope", no_workspace, check_rope, run};

}  // namespace compact::COMPACT_ISA
