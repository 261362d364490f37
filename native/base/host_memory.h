// Host memory for tensors: large blocks straight from the operating system, given back when freed.
//
// Training allocates two regions per engine, of up to many gigabytes. The general allocator keeps
// and fragments such blocks when they are made on one thread and freed on another, so they are
// mapped here: 2 MiB aligned with huge pages where that helps, and unmapped on release. Small
// blocks are kept in a bounded cache, because opening many small engines would otherwise be all
// page faults.
#pragma once

#include <cstdint>

namespace compact {

// A block of at least `bytes` bytes, 256-byte aligned, contents undefined; nullptr when there is no
// memory. Thread-safe.
void* host_allocate(int64_t bytes);

// Gives a block back. `bytes` is the number that it was asked for with. nullptr is allowed.
void host_release(void* data, int64_t bytes);

// Bytes held for callers / kept in the cache, in this process.
int64_t host_allocated_bytes();
int64_t host_cached_bytes();

}  // namespace compact
