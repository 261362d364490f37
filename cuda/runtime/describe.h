// What this machine offers to the CUDA backend, and whether a device computes.
#pragma once

#include <cstdint>

#include "native/backend/backend.h"

namespace compact {

// Versions and devices; makes no context.
void describe_cuda(CpBackendInfo* info);

// Runs a small kernel on a device and reads back what it wrote. Makes the process's context.
void probe_cuda(int32_t index, CpDeviceInfo* info);

}  // namespace compact
