// Several pieces of work in one launch: blocks are numbered through those of the first, then of the
// second, ...
#pragma once

#include <cstdint>

#include "cuda/gpu.h"
#include "native/backend/backend.h"

namespace compact {

template <class Work, int kMembers = CP_MAX_GROUP>
struct LaunchGroup {
    Work members[kMembers]{};
    uint32_t ends[kMembers]{};  // number of the block after those of each member
    int32_t count = 0;

    uint32_t num_blocks() const { return ends[count - 1]; }

    void add(const Work& work, int64_t blocks) {
        const int64_t first = count == 0 ? 0 : ends[count - 1];
        members[count] = work;
        // Those that are missing end where the last one does.
        for (int32_t i = count; i < kMembers; ++i) ends[i] = static_cast<uint32_t>(first + blocks);
        ++count;
    }

    // Which member a block belongs to, and its number among that one's blocks.
    __device__ __forceinline__ const Work& of_block(uint32_t* block) const {
        uint32_t first = 0;
        int index = 0;
        CP_UNROLL
        for (int i = 0; i + 1 < kMembers; ++i) {
            if (blockIdx.x < ends[i]) continue;
            first = ends[i];
            index = i + 1;
        }
        *block = blockIdx.x - first;
        return members[index];
    }
};

}  // namespace compact
