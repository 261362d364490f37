// Every task runs exactly once, whatever the number of threads; errors come back to the caller.
#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "native/cpu/runtime/thread_pool.h"
#include "native/test/check.h"

namespace compact::test {

TEST(thread_pool_runs_every_task_once) {
    for (int threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        CHECK(pool.num_threads() == threads);
        for (int64_t tasks : {0, 1, 2, 7, 100}) {
            for (int round = 0; round < 50; ++round) {
                std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
                std::atomic<bool> valid_thread{true};
                pool.parallel_for(tasks, [&](int64_t task, int thread) {
                    runs[static_cast<size_t>(task)].fetch_add(1);
                    if (thread < 0 || thread >= threads) valid_thread = false;
                });
                bool once = true;
                for (const std::atomic<int>& count : runs) once = once && count.load() == 1;
                CHECK(once);
                CHECK(valid_thread.load());
            }
        }
    }
}

TEST(thread_pool_gives_each_thread_its_own_number) {
    constexpr int kThreads = 4;
    ThreadPool pool(kThreads);
    std::vector<std::atomic<int>> inside(kThreads);
    std::atomic<bool> alone{true};
    pool.parallel_for(2000, [&](int64_t, int thread) {
        std::atomic<int>& count = inside[static_cast<size_t>(thread)];
        if (count.fetch_add(1) != 0) alone = false;
        count.fetch_sub(1);
    });
    CHECK(alone.load());
}

TEST(thread_pool_rethrows_and_goes_on) {
    for (int threads : {1, 3}) {
        ThreadPool pool(threads);
        bool caught = false;
        try {
            pool.parallel_for(100, [](int64_t task, int) {
                if (task == 41) throw std::runtime_error("task 41");
            });
        } catch (const std::runtime_error& error) {
            caught = std::string(error.what()) == "task 41";
        }
        CHECK(caught);
        std::atomic<int64_t> sum{0};
        pool.parallel_for(100, [&](int64_t task, int) { sum += task; });
        CHECK(sum.load() == 4950);
    }
}

TEST(thread_pools_start_and_stop) {
    for (int round = 0; round < 100; ++round) {
        ThreadPool pool(3);
        std::atomic<int> runs{0};
        if (round % 2 == 0) pool.parallel_for(5, [&](int64_t, int) { ++runs; });
        CHECK(runs.load() == (round % 2 == 0 ? 5 : 0));
    }
}

}  // namespace compact::test
