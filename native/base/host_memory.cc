#include "native/base/host_memory.h"

#include <limits>
#include <map>
#include <mutex>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#endif

// AddressSanitizer watches the ends of ordinary allocations, not of mappings.
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__SANITIZE_ADDRESS__)
#define COMPACT_MAP_MEMORY 1
#endif

namespace compact {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kPage = 4096;
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kMaxCachedBlock = int64_t{1} << 20;
constexpr int64_t kMaxCachedTotal = int64_t{16} << 20;

int64_t rounded(int64_t bytes) {
    const int64_t unit = bytes >= kHugePage ? kHugePage : kPage;
    return (bytes + unit - 1) / unit * unit;
}

#ifdef COMPACT_MAP_MEMORY
void* map_block(int64_t bytes) {
    const bool huge = bytes >= kHugePage;
    const int64_t span = huge ? bytes + kHugePage : bytes;
    void* mapped = mmap(nullptr, static_cast<size_t>(span), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    if (!huge) return mapped;
    // Cut the span down to its aligned middle.
    char* begin = static_cast<char*>(mapped);
    const auto address = reinterpret_cast<uintptr_t>(begin);
    const auto mask = static_cast<uintptr_t>(kHugePage - 1);
    const auto skip = static_cast<int64_t>((~address + 1) & mask);
    if (skip > 0) munmap(begin, static_cast<size_t>(skip));
    munmap(begin + skip + bytes, static_cast<size_t>(kHugePage - skip));
#ifdef MADV_HUGEPAGE
    madvise(begin + skip, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
    return begin + skip;
}

void unmap_block(void* data, int64_t bytes) { munmap(data, static_cast<size_t>(bytes)); }
#else
void* map_block(int64_t bytes) {
    return ::operator new(static_cast<size_t>(bytes), std::align_val_t{kAlignment}, std::nothrow);
}

void unmap_block(void* data, int64_t) { ::operator delete(data, std::align_val_t{kAlignment}); }
#endif

struct Pool {
    std::mutex mutex;
    std::multimap<int64_t, void*> cache;  // free blocks by size
    int64_t cached_bytes = 0;
    int64_t allocated_bytes = 0;
};

// One per process and never destroyed: engines of other threads may outlive static destruction.
Pool& pool() {
    static Pool* const instance = new Pool;
    return *instance;
}

}  // namespace

void* host_allocate(int64_t bytes) {
    if (bytes < 0 || bytes > std::numeric_limits<int64_t>::max() / 4) return nullptr;
    const int64_t size = rounded(bytes > 0 ? bytes : 1);
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    void* data = nullptr;
    if (const auto found = shared.cache.find(size); found != shared.cache.end()) {
        data = found->second;
        shared.cache.erase(found);
        shared.cached_bytes -= size;
    } else {
        data = map_block(size);
    }
    if (data != nullptr) shared.allocated_bytes += bytes;
    return data;
}

void host_release(void* data, int64_t bytes) {
    if (data == nullptr) return;
    const int64_t size = rounded(bytes > 0 ? bytes : 1);
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    shared.allocated_bytes -= bytes;
    if (size <= kMaxCachedBlock && shared.cached_bytes + size <= kMaxCachedTotal) {
        try {
            shared.cache.emplace(size, data);
            shared.cached_bytes += size;
            return;
        } catch (const std::bad_alloc&) {
            // No room to remember the block: fall through and unmap it.
        }
    }
    unmap_block(data, size);
}

int64_t host_allocated_bytes() {
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    return shared.allocated_bytes;
}

int64_t host_cached_bytes() {
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    return shared.cached_bytes;
}

}  // namespace compact
