#include "cuda/emulation/pending_copies.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include "cuda/emulation/bank_conflicts.h"
#include "cuda/emulation/fibers.h"
#include "cuda/emulation/sanitizer_hooks.h"

namespace compact::emulation {
namespace {

constexpr size_t kCopyBytes = 16;

}  // namespace

void copy_later(void* target, const void* source, size_t bytes) {
    const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
    if (!aligned(target) || (bytes > 0 && !aligned(source))) {
        stop("an asynchronous copy is not 16-byte aligned");
    }
    std::memset(target, 0xFF, kCopyBytes);
    count_copy(target);
    const Unwatched unwatched;
    pending_copies().uncommitted.push_back({target, source, bytes});
}

void commit_copies() {
    const Unwatched unwatched;
    PendingCopies& copies = pending_copies();
    copies.groups.push_back(std::move(copies.uncommitted));
    copies.uncommitted.clear();
}

void finish_copies(int pending) {
    auto& groups = pending_copies().groups;
    while (true) {
        std::vector<Copy> oldest;
        {
            const Unwatched unwatched;
            if (groups.size() <= static_cast<size_t>(pending)) return;
            oldest = std::move(groups.front());
            groups.erase(groups.begin());
        }
        for (const Copy& copy : oldest) {
            std::memset(copy.target, 0, kCopyBytes);
            std::memcpy(copy.target, copy.source, copy.bytes);
        }
    }
}

}  // namespace compact::emulation
