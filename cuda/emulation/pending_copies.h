// Asynchronous copies of a fiber that nobody has waited for yet.
#pragma once

#include <cstddef>
#include <vector>

namespace compact::emulation {

struct Copy {
    void* target;
    const void* source;
    size_t bytes;
};

struct PendingCopies {
    std::vector<std::vector<Copy>> groups;  // the oldest first
    std::vector<Copy> uncommitted;
};

// Of the fiber that is running.
PendingCopies& pending_copies();

}  // namespace compact::emulation
