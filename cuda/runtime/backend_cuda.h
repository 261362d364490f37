// The one symbol of the CUDA module.
#pragma once

#include "native/backend/backend.h"

extern "C" __attribute__((visibility("default"))) const CpBackend* compact_cuda_backend();
