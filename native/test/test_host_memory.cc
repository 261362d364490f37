#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "native/base/host_memory.h"
#include "native/test/check.h"

namespace compact::test {

TEST(host_memory_alignment_and_accounting) {
    const int64_t before = host_allocated_bytes();
    for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{255}, int64_t{4097},
                                int64_t{2} << 20, (int64_t{5} << 20) + 3}) {
        void* data = host_allocate(bytes);
        if (!CHECK(data != nullptr)) return;
        CHECK(reinterpret_cast<uintptr_t>(data) % 256 == 0);
        std::memset(data, 0x5a, static_cast<size_t>(bytes));
        CHECK(host_allocated_bytes() == before + bytes);
        host_release(data, bytes);
    }
    CHECK(host_allocated_bytes() == before);
    host_release(nullptr, 8);
    CHECK(host_allocated_bytes() == before);
}

TEST(host_memory_absurd_sizes) {
    CHECK(host_allocate(-1) == nullptr);
    CHECK(host_allocate(std::numeric_limits<int64_t>::max()) == nullptr);
    CHECK(host_allocate(int64_t{1} << 60) == nullptr);
}

TEST(host_memory_cache_is_bounded) {
    std::vector<void*> blocks;
    for (int i = 0; i < 64; ++i) blocks.push_back(host_allocate(int64_t{1} << 20));
    for (void* block : blocks) host_release(block, int64_t{1} << 20);
    CHECK(host_cached_bytes() <= int64_t{16} << 20);
    void* large = host_allocate(int64_t{8} << 20);
    const int64_t cached = host_cached_bytes();
    host_release(large, int64_t{8} << 20);
    CHECK(host_cached_bytes() == cached);  // large blocks go back at once
}

TEST(host_memory_from_many_threads) {
    const int64_t before = host_allocated_bytes();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([t] {
            for (int i = 1; i < 200; ++i) {
                const int64_t bytes = int64_t{1000} * i + t;
                auto* data = static_cast<char*>(host_allocate(bytes));
                if (data == nullptr) return;
                data[0] = data[bytes - 1] = static_cast<char>(t);
                host_release(data, bytes);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(host_allocated_bytes() == before);
}

}  // namespace compact::test
