// Search for NaN and infinity in tensors, for the mode that names where a run went wrong.
#pragma once

#include "native/backend/backend.h"

namespace compact {

// Index of the first element of an f32 or bf16 tensor that is not finite, or -1; other dtypes have
// none. `minus_infinity` is accepted when allowed (the log-sum-exp of an empty row).
int64_t first_not_finite(const CpBackend& backend, CpDevice* device, const CpTensor& tensor,
                         bool allow_minus_infinity);

}  // namespace compact
