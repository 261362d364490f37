// How often accesses of a warp to shared memory have to wait for each other: eight lanes have their
// 16 bytes at a time, out of 32 banks of four bytes each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace compact::emulation {

// The most lanes that wanted other rows of one bank at a time: 1 is none too many.
struct BankConflicts {
    int matrix_loads = 0, copies = 0;
};

// Of all launches since the last call, of this host thread.
BankConflicts take_bank_conflicts();

using Addresses = std::array<const void*, 32>;

// Lanes copy each on its own: what the n-th copies of a warp want is known when all have made them.
struct WarpCopies {
    std::array<size_t, 32> made{};  // by each lane
    size_t first = 0;               // of those that wait
    std::deque<Addresses> waiting;
};

struct ConflictCounts {
    BankConflicts most;
    std::vector<WarpCopies> warps;
};

// Of the block that is running.
ConflictCounts& conflict_counts();

// Rows of a warp's four matrices, those of eight lanes each.
void count_matrix_load(const Addresses& rows);
// A copy of the running fiber.
void count_copy(const void* target);

// At the end of a block.
void note_conflicts(const ConflictCounts& counts);

}  // namespace compact::emulation
