#include "native/cpu/runtime/thread_pool.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace compact {
namespace {

// Ops follow each other within microseconds during a step, and waking a sleeping thread takes tens
// of them, so whoever waits looks for this long before it sleeps.
constexpr std::chrono::microseconds kSpinTime(100);

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
}

// Whether `done` held within the spin time.
template <class Done>
bool spin_until(const Done& done) {
    constexpr int kPausesPerLook = 16;
    const auto end = std::chrono::steady_clock::now() + kSpinTime;
    do {
        for (int i = 0; i < kPausesPerLook; ++i) {
            if (done()) return true;
            pause();
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

// Returns once `done` holds; sleeps on `signal` between spins. Whoever makes `done` true changes
// `signal` and notifies it.
template <class Done>
void wait_until(std::atomic<uint32_t>& signal, const Done& done) {
    while (!spin_until(done)) {
        const uint32_t seen = signal.load();
        if (done()) return;
        signal.wait(seen);
    }
}

}  // namespace

// A job is open while the caller still has tasks to hand out. A worker enters an open job, runs
// tasks until none is left, and leaves; a worker that wakes too late finds the gate closed and the
// caller does not wait for it.
struct ThreadPool::State {
    explicit State(int count) : num_threads(count) {}

    // Upper half: number of the job, odd while open. Lower half: workers inside.
    std::atomic<uint64_t> gate{0};
    std::atomic<uint32_t> wake{0};   // changes when a job opens
    std::atomic<uint32_t> leave{0};  // changes when the last worker leaves
    std::atomic<bool> stopping{false};

    std::atomic<int64_t> next{0};
    int64_t num_tasks = 0;
    const std::function<void(int64_t, int)>* body = nullptr;

    std::mutex error_mutex;
    std::exception_ptr error;

    const int num_threads;
    std::vector<std::thread> workers;

    static bool open(uint64_t gate_value) { return ((gate_value >> 32) & 1) != 0; }
    static uint32_t inside(uint64_t gate_value) { return static_cast<uint32_t>(gate_value); }

    void run_tasks(int thread) {
        try {
            for (int64_t task = next.fetch_add(1); task < num_tasks; task = next.fetch_add(1)) {
                (*body)(task, thread);
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(error_mutex);
            if (!error) error = std::current_exception();
            next.store(num_tasks);  // the others stop at their next task
        }
    }

    bool enter(uint64_t last_job) {
        uint64_t value = gate.load();
        while (open(value) && (value >> 32) != last_job) {
            if (gate.compare_exchange_weak(value, value + 1)) return true;
        }
        return false;
    }

    void work(int thread) {
        uint64_t last_job = 0;
        while (true) {
            bool entered = false;
            wait_until(wake, [&] {
                entered = enter(last_job);
                return entered || stopping.load();
            });
            if (!entered) return;
            last_job = gate.load() >> 32;
            run_tasks(thread);
            const uint64_t before = gate.fetch_sub(1);
            if (inside(before) == 1 && !open(before)) {
                leave.fetch_add(1);
                leave.notify_one();
            }
        }
    }
};

ThreadPool::ThreadPool(int num_threads)
    : state_(std::make_unique<State>(num_threads < 1 ? 1 : num_threads)) {}

ThreadPool::~ThreadPool() {
    state_->stopping.store(true);
    state_->wake.fetch_add(1);
    state_->wake.notify_all();
    for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::num_threads() const { return state_->num_threads; }

void ThreadPool::parallel_for(int64_t num_tasks,
                              const std::function<void(int64_t task, int thread)>& body) {
    State& state = *state_;
    if (num_tasks <= 1 || state.num_threads == 1) {
        for (int64_t task = 0; task < num_tasks; ++task) body(task, 0);
        return;
    }
    while (static_cast<int>(state.workers.size()) < state.num_threads - 1) {
        const int thread = static_cast<int>(state.workers.size()) + 1;
        state.workers.emplace_back([&state, thread] { state.work(thread); });
    }

    state.body = &body;
    state.num_tasks = num_tasks;
    state.next.store(0);
    state.gate.fetch_add(uint64_t{1} << 32);
    state.wake.fetch_add(1);
    state.wake.notify_all();

    state.run_tasks(0);

    state.gate.fetch_add(uint64_t{1} << 32);
    wait_until(state.leave, [&] { return State::inside(state.gate.load()) == 0; });
    if (state.error) std::rethrow_exception(std::exchange(state.error, nullptr));
}

}  // namespace compact
