// Streams, events, captures and graphs of the emulated runtime (declared in host_runtime.h).
//
// What is enqueued runs at once; on a machine that is `lazy` no sooner than something waits for it,
// so that a missing wait shows in the results. What a capturing stream is given becomes a node of a
// graph and runs when the graph is launched: in the order of the capture, or on a lazy machine in
// the order that is furthest from it.
//
// Misuse fails with the error that CUDA gives: waiting for or asking a capturing stream, memory
// calls of a thread that captures, captures that are not joined. A stream that is destroyed while
// it captures ends the process.
//
// A stream belongs to one thread at a time.
#pragma once

#include "cuda/emulation/host_runtime.h"

namespace compact::emulation {

// ---- From host_runtime.cc

// Keeps an error for cudaGetLastError().
cudaError_t noted(cudaError_t status);
// A call on the current device that does nothing of its own.
cudaError_t use_current();
// The next thing that a capture is given: false when the machine orders it to fail.
bool may_capture();

// ---- For host_runtime.cc

// For calls that a thread must not make while it captures: they invalidate the capture.
cudaError_t refuse_in_capture();

}  // namespace compact::emulation
