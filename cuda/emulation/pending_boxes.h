// Boxes that are on their way to a block's shared memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulation/hopper.h"

namespace compact::emulation {

struct PendingBox {
    void* shared;
    TensorMap map;
    int32_t row, column;
    uint64_t* barrier;
    int looks;   // at the barrier until it arrives
    char order;  // what whoever had it copied did before
};
using PendingBoxes = std::vector<std::unique_ptr<PendingBox>>;

// Of the block that is running.
PendingBoxes& pending_boxes();

}  // namespace compact::emulation
