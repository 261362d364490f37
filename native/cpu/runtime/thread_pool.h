// A private pool of worker threads. The caller of parallel_for is thread 0.
//
// Determinism: work is cut into tasks by shape alone, never by the number of threads; which thread
// runs a task cannot change its result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace compact {

class ThreadPool {
  public:
    explicit ThreadPool(int num_threads);  // >= 1; workers start on the first parallel_for
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int num_threads() const;

    // Calls body(task, thread) for every task in [0, num_tasks); returns when all are done.
    // Exceptions of a body are rethrown here, the first one.
    void parallel_for(int64_t num_tasks, const std::function<void(int64_t task, int thread)>& body);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace compact
