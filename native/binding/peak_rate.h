// How fast the CPU multiplies and adds when nothing else is in the way, for benchmarks.
#pragma once

#include <napi.h>

namespace compact {

// (instructionSet, dtype: 'f32' | 'bf16', threads): floating-point operations per second of the
// instruction that products of this type are made of. Takes about a tenth of a second, during which
// the calling thread waits.
Napi::Value peak_rate(const Napi::CallbackInfo& info);

}  // namespace compact
