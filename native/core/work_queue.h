// One thread that runs jobs in order. Used by the binding, so that an engine never holds a thread
// of Node's own pool.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace compact {

class WorkQueue {
  public:
    // At most `capacity` jobs may wait.
    explicit WorkQueue(size_t capacity) : capacity_(capacity), thread_([this] { loop(); }) {}
    ~WorkQueue() { stop(); }
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    // False when the queue is full or stopped; the job is then not taken. Jobs must not throw.
    bool push(std::function<void()> job);

    // Whether a job waits, or the queue is stopped: what a job that could wait for longer should
    // come to an end for.
    bool has_jobs();

    // Waits for the job that is running, forgets those that wait, ends the thread. Idempotent; not
    // to be called from a job.
    void stop();

  private:
    void loop();

    const size_t capacity_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool stopped_ = false;
    std::thread thread_;  // last: starts when the rest is ready
};

}  // namespace compact
