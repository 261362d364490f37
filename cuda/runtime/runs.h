// Runs of a plan on the device's stream: recorded as a graph or not, and collected later.
//
// Runtime scalars are arguments of kernels, so a graph cannot simply be launched again: every run
// is recorded anew, which is work of the host alone, and the graph of its entry is brought up to
// date. All of a run then starts with one call, and the device goes from kernel to kernel by
// itself.
//
// Everything is in the order of one stream: the inputs of a run wait for the run before, which may
// still be reading the same bytes of the arena, and its outputs leave for pinned memory before the
// run behind it can write over them.
#pragma once

#include <vector>

#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"

namespace compact {

// Part of a device.
struct DeviceRuns {
    cudaEvent_t ends[CP_RUNS_IN_FLIGHT] = {};
    unsigned char* outputs = nullptr;     // pinned (CP_RUNS_IN_FLIGHT, output_bytes)
    int64_t output_bytes = 0;             // of one run
    std::vector<cudaGraphExec_t> graphs;  // of the entries; null until one was launched
    int recorded_entry = -1;              // whose ops the stream records; -1: they run

    bool is_recording() const { return recorded_entry >= 0; }
};

cudaError_t open_runs(DeviceRuns& runs);
void close_runs(DeviceRuns& runs);

extern const CpRuns kCudaRuns;

}  // namespace compact
