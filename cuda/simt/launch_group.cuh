// Several pieces of work in one launch: blocks are numbered through those of the first, then of the
// second, ...
#pragma once

#include <cstdint>

#include "cuda/simt/gpu.h"
#include "native/backend/backend.h"

namespace compact {

template <class Work, int kMembers = CP_MAX_GROUP>
struct LaunchGroup {
    Work members[kMembers]{};
    uint32_t ends[kMembers]{};  // number of the block after those of each member
    int32_t count = 0;

    __host__ __device__ uint32_t num_blocks() const { return ends[kMembers - 1]; }

    void add(const Work& work, int64_t blocks) {
        const int64_t first = count == 0 ? 0 : ends[count - 1];
        members[count] = work;
        // Those that are missing end where the last one does.
        for (int32_t i = count; i < kMembers; ++i) ends[i] = static_cast<uint32_t>(first + blocks);
        ++count;
    }

    // Which member a block belongs to, and its number among that one's blocks.
    __device__ __forceinline__ const Work& of_block(uint32_t* block) const {
        return of_number(blockIdx.x, block);
    }

    // The same for blocks of work that a block of threads takes one after the other.
    __device__ __forceinline__ const Work& of_number(uint32_t number, uint32_t* block) const {
        uint32_t first = 0;
        int index = 0;
        CP_UNROLL
        for (int i = 0; i + 1 < kMembers; ++i) {
            if (number < ends[i]) continue;
            first = ends[i];
            index = i + 1;
        }
        *block = number - first;
        return members[index];
    }
};

}  // namespace compact
