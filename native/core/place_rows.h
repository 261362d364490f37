// Numbers of a matrix on the host, in another type and turned round where that is asked: weights on
// their way from a file to where a device has them.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"

namespace compact {

struct Rows {
    const void* data = nullptr;  // aligned to its numbers
    int32_t dtype = CP_F32;      // CpDtype
    int64_t num_rows = 0;
    int64_t num_columns = 0;
    int64_t stride = 0;  // numbers from row to row
    bool is_turned = false;
};

// Whether numbers of a type become those of another: f32 and bf16 of any floating point, to
// nearest with ties to even; everything else of itself.
bool can_place(int32_t from, int32_t to);

// Number (row, column) becomes target[row target_stride + column] or, turned round,
// target[column target_stride + row]. False when one is NaN or infinite, or becomes infinite; what
// has been written then means nothing.
bool place_rows(const Rows& rows, int32_t dtype, void* target, int64_t target_stride);

// `count` rows of what place_rows makes, from `first` on.
Rows some_rows(const Rows& rows, int64_t first, int64_t count);

}  // namespace compact
