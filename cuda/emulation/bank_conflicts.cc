#include "cuda/emulation/bank_conflicts.h"

#include <algorithm>

#include "cuda/emulation/fibers.h"
#include "cuda/emulation/sanitizer_hooks.h"

namespace compact::emulation {
namespace {

constexpr uintptr_t kRowBytes = 128;  // of all banks
constexpr size_t kLanesAtATime = 8;

thread_local BankConflicts most;

void raise(int& highest, int value) { highest = std::max(highest, value); }

// Of one lane among those that have their turn with it: rows of its banks, its own among them.
// Lanes that do not take part have no address.
int rows_wanted(const Addresses& addresses, size_t first, size_t lane) {
    const auto address_of = [&](size_t i) {
        return reinterpret_cast<uintptr_t>(addresses[first + i]);
    };
    int rows = 0;
    for (size_t i = 0; i < kLanesAtATime; ++i) {
        bool is_new =
            address_of(i) != 0 && address_of(i) % kRowBytes == address_of(lane) % kRowBytes;
        for (size_t j = 0; j < i; ++j) is_new &= address_of(j) != address_of(i);
        if (is_new) ++rows;
    }
    return rows;
}

int ways(const Addresses& addresses) {
    int highest = 0;
    for (size_t first = 0; first < addresses.size(); first += kLanesAtATime) {
        for (size_t i = 0; i < kLanesAtATime; ++i) raise(highest, rows_wanted(addresses, first, i));
    }
    return highest;
}

}  // namespace

void count_matrix_load(const Addresses& rows) {
    const Unwatched unwatched;
    raise(conflict_counts().most.matrix_loads, ways(rows));
}

void count_copy(const void* target) {
    const Unwatched unwatched;
    ConflictCounts& counts = conflict_counts();
    const auto warp = static_cast<size_t>(warp_index()), own = static_cast<size_t>(lane());
    if (counts.warps.size() <= warp) counts.warps.resize(warp + 1);
    WarpCopies& copies = counts.warps[warp];
    const size_t place = copies.made[own]++ - copies.first;
    while (copies.waiting.size() <= place) copies.waiting.emplace_back();
    copies.waiting[place][own] = target;
    const size_t by_all = *std::min_element(copies.made.begin(), copies.made.end());
    for (; copies.first < by_all; ++copies.first) {
        raise(counts.most.copies, ways(copies.waiting.front()));
        copies.waiting.pop_front();
    }
}

void note_conflicts(const ConflictCounts& counts) {
    raise(most.matrix_loads, counts.most.matrix_loads);
    raise(most.copies, counts.most.copies);
    for (const WarpCopies& copies : counts.warps) {
        for (const Addresses& addresses : copies.waiting) raise(most.copies, ways(addresses));
    }
}

BankConflicts take_bank_conflicts() {
    const BankConflicts taken = most;
    most = {};
    return taken;
}

}  // namespace compact::emulation
