// A second stream, on which an op prepares its workspace beside the instruction before it.
//
// fork_side() lets the stream start from where the device's stream stands; what is enqueued on it
// until note_prepared() runs beside what the device's stream is given next. join_prepared() makes
// the device's stream wait for it. While a run is recorded both become edges of the graph.
#pragma once

#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"

struct CpDevice;

namespace compact {

// Two calls may be prepared at once: one for the instruction that is enqueued next, which was
// prepared before, and one for that behind it.
inline constexpr int kMaxPrepared = 2;

// Part of a device.
struct SideStream {
    struct Prepared {
        const void* workspace = nullptr;  // of the call; null: none
        cudaEvent_t done = nullptr;
    };
    cudaStream_t stream = nullptr;
    cudaEvent_t fork = nullptr;
    Prepared prepared[kMaxPrepared];
    int next = 0;
};

cudaError_t open_side_stream(SideStream& side);
void close_side_stream(SideStream& side);

CpStatus fork_side(CpDevice& device, const char* op, CpError* error);
CpStatus note_prepared(CpDevice& device, const CpCall& call, const char* op, CpError* error);
// Sets `was_prepared` to whether the call was; then it may read its workspace.
CpStatus join_prepared(CpDevice& device, const CpCall& call, const char* op, bool& was_prepared,
                       CpError* error);
// Of a run that goes no further.
void forget_prepared(SideStream& side);
// Whether something was prepared that the device's stream has not waited for.
bool has_prepared(const SideStream& side);

}  // namespace compact
