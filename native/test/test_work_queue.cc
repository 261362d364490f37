#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "native/core/work_queue.h"
#include "native/test/check.h"

namespace compact::test {

TEST(work_queue_runs_in_order) {
    std::vector<int> order;
    std::promise<void> done;
    WorkQueue queue(128);
    for (int i = 0; i < 100; ++i) CHECK(queue.push([&order, i] { order.push_back(i); }));
    CHECK(queue.push([&done] { done.set_value(); }));
    done.get_future().wait();
    bool sorted = order.size() == 100;
    for (size_t i = 0; i < order.size(); ++i) sorted = sorted && order[i] == static_cast<int>(i);
    CHECK(sorted);
}

TEST(work_queue_is_bounded) {
    std::promise<void> running;
    std::promise<void> go;
    WorkQueue queue(2);
    CHECK(queue.push([&] {
        running.set_value();
        go.get_future().wait();
    }));
    running.get_future().wait();
    CHECK(queue.push([] {}));
    CHECK(queue.push([] {}));
    CHECK(!queue.push([] {}));
    go.set_value();
}

TEST(work_queue_stop_waits_for_the_running_job_and_forgets_the_rest) {
    std::promise<void> running;
    std::promise<void> go;
    std::atomic<bool> finished{false};
    std::atomic<int> others{0};
    WorkQueue queue(size_t{1} << 30);
    queue.push([&] {
        running.set_value();
        go.get_future().wait();
        finished = true;
    });
    running.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { queue.stop(); });
    while (queue.push([&] { ++others; })) std::this_thread::yield();  // until stop() has begun
    go.set_value();
    stopped.wait();
    CHECK(finished);
    CHECK(others == 0);
    queue.stop();
}

}  // namespace compact::test
