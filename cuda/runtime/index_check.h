// Indices that turn out bad in the middle of a run: token ids, targets. A kernel cannot stop a run,
// so it passes over a bad index and records it, and the end of the run reports the first one.
#pragma once

#include <cstdint>

#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"

struct CpDevice;

namespace compact {

inline constexpr int kIndexChecks = 32;  // launches of one run that are told apart

// Part of a device.
struct IndexChecks {
    struct Launch {
        const char* op = nullptr;
        const char* what = nullptr;
        int64_t count = 0;
    };
    // (CP_RUNS_IN_FLIGHT, kIndexChecks) pinned: position << 32 | index of the first bad index, or
    // all ones.
    unsigned long long* found = nullptr;
    Launch launches[CP_RUNS_IN_FLIGHT][kIndexChecks];
    int slot = 0;  // of the run whose launches come next
    int next = 0;
};

cudaError_t open_index_checks(IndexChecks& checks);
void close_index_checks(IndexChecks& checks);
// The launches that follow are those of the run in this slot.
void begin_index_checks(IndexChecks& checks, int slot);
// After the run in this slot has finished: the first bad index in it, as an error.
CpStatus report_bad_index(IndexChecks& checks, int slot, CpError* error);

// What a kernel asks before it uses an index.
struct IndexCheck {
    unsigned long long* found;
    int64_t count;

    __device__ __forceinline__ bool bad(int32_t index, int64_t position) const {
        if (index >= 0 && index < count) return false;
        atomicMin(found, static_cast<unsigned long long>(position) << 32 |
                             static_cast<unsigned long long>(static_cast<uint32_t>(index)));
        return true;
    }
};

// For one launch whose indices (`what`: "ids", "targets") lie in [0, count).
IndexCheck check_indices(CpDevice& device, const char* op, const char* what, int64_t count);

}  // namespace compact
