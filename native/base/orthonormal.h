// What every backend's orthonormalize decides alike: which columns depend on those before them, and
// what they are replaced by.
#pragma once

#include <cmath>
#include <cstdint>

#include "native/base/host_device.h"
#include "native/base/philox.h"

namespace compact {

// The first pass leaves errors of the squared condition, the second those of fp32; a column that
// the first replaced needs both passes after it.
inline constexpr int kOrthonormalPasses = 3;

// Of a column's squared length, the part that must be left when the columns before it are taken
// out: sums of squares of ten thousand fp32 numbers are off by a tenth of that.
inline constexpr float kIndependentShare = 1e-4f;

// Diagonal element of the Cholesky factor, or 0 for a column that depends on those before it.
COMPACT_HOST_DEVICE float orthonormal_pivot(float remainder, float squared_length) {
    using std::sqrt;
    return remainder > kIndependentShare * squared_length ? sqrt(remainder) : 0.0f;
}

// An element of a column in place of a dependent one: uniform numbers from -1 to 1.
COMPACT_HOST_DEVICE float orthonormal_replacement(int64_t row, int64_t column, int pass) {
    const PhiloxWords words = philox({{static_cast<uint32_t>(row), static_cast<uint32_t>(column),
                                       static_cast<uint32_t>(pass), 0}},
                                     0, 0);
    return static_cast<float>(static_cast<int32_t>(words.word[0])) * 0x1p-31f;
}

}  // namespace compact
