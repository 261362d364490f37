// A backend of a few ops in plain loops, so that the engine is tested apart from real kernels.
#pragma once

#include "native/backend/backend.h"

namespace compact::test {

// Ops: fill, copy, add, sgd, selectRow (refuses rows out of range), gelu (always fails), matmul
// (leaves c as it is; 4096 bytes of workspace per thread).
const CpBackend& stub_backend();

}  // namespace compact::test
