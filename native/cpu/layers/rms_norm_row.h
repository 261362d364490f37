// One row of a norm, for rmsNorm and addRmsNorm.
#pragma once

#include <cmath>

#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {

// y = x rstd (weight + weight_offset); returns rstd = 1 / sqrt(mean(x^2) + epsilon). All rows are
// (width).
template <class T>
inline float rms_norm_row(const T* x, const T* weight, float weight_offset, float epsilon, T* y,
                          int64_t width) {
    Vec squares = splat(0.0f);
    for_lanes(width, [&](int64_t i, auto lanes) {
        const Vec value = load(x + i, lanes);
        squares = fma(value, value, squares);
    });
    const float mean = sum(squares) / static_cast<float>(width);
    const float rstd = 1.0f / std::sqrt(mean + epsilon);
    const Vec factor = splat(rstd), offset = splat(weight_offset);
    for_lanes(width, [=](int64_t i, auto lanes) {
        store(y + i, load(x + i, lanes) * factor * (load(weight + i, lanes) + offset), lanes);
    });
    return rstd;
}

}  // namespace compact::COMPACT_ISA
