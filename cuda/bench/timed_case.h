// One case with its operands on the device, timed by the device's own clock.
#pragma once

#include <vector>

#include "cuda/bench/cases.h"

namespace compact::bench {

class TimedCase {
  public:
    // Makes as many sets of operands as it takes for three times the L2 cache to lie between two
    // uses of one. Throws std::runtime_error with the backend's error.
    TimedCase(const CpBackend& backend, CpDevice* device, const KernelCase& kernel);
    ~TimedCase();
    TimedCase(const TimedCase&) = delete;
    TimedCase& operator=(const TimedCase&) = delete;

    // Microseconds of one run, `samples` times, each a mean over `runs_per_sample` in a row.
    std::vector<double> measure(int samples, int runs_per_sample, int warmup);
    int64_t num_sets() const { return static_cast<int64_t>(calls_.size()); }

  private:
    void* allocate(int64_t bytes);
    void fill(const CpTensor& tensor, Contents contents);
    void prepare(CpCall& call);
    CpTensor place(const Operand& operand);
    void run(CpCall& call);
    void require(CpStatus status) const;
    const CpOp* find(const char* name) const;

    struct Block {
        void* data;
        int64_t bytes;
    };
    const CpBackend& backend_;
    CpDevice* device_;
    const KernelCase& kernel_;
    const CpOp* op_ = nullptr;  // none: the panel alone
    CpError error_{};
    std::vector<CpCall> calls_;
    std::vector<Block> blocks_;
    uint32_t next_seed_ = 1;
};

}  // namespace compact::bench
