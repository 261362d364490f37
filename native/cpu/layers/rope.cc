// rope: rotates each pair (i, i + headSize/2) of a head by the angle of row `position`, whose
// cosines and sines are given; inverse=1 rotates back, which is the gradient. Su et al., "RoFormer:
// Enhanced Transformer with Rotary Position Embedding", 2021.
#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    const int64_t rows = input.shape[0], width = input.shape[1];
    const int64_t positions = call->inputs[1].shape[0], half = call->inputs[1].shape[1];
    const float* cosines = data<float>(call->inputs[1]);  // (positions, half)
    const float* sines = data<float>(call->inputs[2]);    // (positions, half)
    const float direction = attribute(*call, "inverse") != 0.0 ? -1.0f : 1.0f;
    with_dtype(input.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(input);       // (rows, width)
        T* y = data<T>(call->outputs[0]);  // (rows, width)
        for_chunks(*device, rows, rows_per_chunk(width), [=](int64_t begin, int64_t end, int) {
            for (int64_t row = begin; row < end; ++row) {
                const float* cosine = cosines + row % positions * half;
                const float* sine = sines + row % positions * half;
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
