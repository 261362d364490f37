#include "native/core/work_queue.h"

#include <utility>

namespace compact {

bool WorkQueue::push(std::function<void()> job) {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_ || jobs_.size() >= capacity_) return false;
        jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
    return true;
}

bool WorkQueue::has_jobs() {
    const std::lock_guard lock(mutex_);
    return stopped_ || !jobs_.empty();
}

void WorkQueue::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
    jobs_.clear();
}

void WorkQueue::loop() {
    for (;;) {
        std::function<void()> job;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
            if (stopped_) return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job();
    }
}

}  // namespace compact
