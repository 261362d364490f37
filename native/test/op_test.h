// Calls of single ops for tests: operands with guard bytes, exact workspaces full of NaN, and every
// instruction set and several thread counts of this machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "native/backend/registry.h"
#include "native/base/bf16.h"
#include "native/cpu/runtime/cpu_device.h"
#include "native/test/check.h"

namespace compact::test {

inline constexpr int64_t kGuardBytes = 64;
inline constexpr unsigned char kGuard = 0xa5;

// Memory with guards on both sides, 64-byte aligned.
class GuardedBytes {
  public:
    explicit GuardedBytes(int64_t bytes, unsigned char fill = 0)
        : bytes_(bytes), storage_(static_cast<size_t>(bytes + 2 * kGuardBytes + 64), kGuard) {
        if (bytes > 0) std::memset(data(), fill, static_cast<size_t>(bytes));
    }
    // A copy's storage lies elsewhere within a cache line.
    GuardedBytes(const GuardedBytes& other) : GuardedBytes(other.bytes_) {
        std::memcpy(data(), const_cast<GuardedBytes&>(other).data(), static_cast<size_t>(bytes_));
    }
    GuardedBytes& operator=(const GuardedBytes&) = delete;
    char* data() { return begin() + kGuardBytes; }
    int64_t bytes() const { return bytes_; }
    bool guards_intact() {
        const char* before = begin();
        const char* after = data() + bytes_;
        for (int64_t i = 0; i < kGuardBytes; ++i) {
            if (static_cast<unsigned char>(before[i]) != kGuard) return false;
            if (static_cast<unsigned char>(after[i]) != kGuard) return false;
        }
        return true;
    }

  private:
    char* begin() {
        const auto address = reinterpret_cast<uintptr_t>(storage_.data());
        return storage_.data() + (64 - address % 64) % 64;
    }
    int64_t bytes_;
    std::vector<char> storage_;
};

// A tensor of numbers; bf16 rounds what is put in.
class Tensor {
  public:
    Tensor(std::vector<int64_t> shape, int32_t dtype = CP_F32)
        : shape_(std::move(shape)), dtype_(dtype), memory_(size() * element_bytes()) {}
    Tensor(std::vector<int64_t> shape, int32_t dtype, const std::vector<double>& values)
        : Tensor(std::move(shape), dtype) {
        for (int64_t i = 0; i < size(); ++i) set(i, values[static_cast<size_t>(i)]);
    }

    int64_t size() const {
        int64_t count = 1;
        for (int64_t extent : shape_) count *= extent;
        return count;
    }
    double get(int64_t i) {
        switch (dtype_) {
            case CP_F32:
                return at<float>(i);
            case CP_BF16:
                return bf16_to_float(at<uint16_t>(i));
            case CP_I32:
                return at<int32_t>(i);
            case CP_I8:
                return at<int8_t>(i);
            default:
                return at<uint8_t>(i);
        }
    }
    void set(int64_t i, double value) {
        switch (dtype_) {
            case CP_F32:
                at<float>(i) = static_cast<float>(value);
                break;
            case CP_BF16:
                at<uint16_t>(i) = bf16_from_float(static_cast<float>(value));
                break;
            case CP_I32:
                at<int32_t>(i) = static_cast<int32_t>(value);
                break;
            case CP_I8:
                at<int8_t>(i) = static_cast<int8_t>(value);
                break;
            default:
                at<uint8_t>(i) = static_cast<uint8_t>(value);
        }
    }
    std::vector<double> values() {
        std::vector<double> all;
        for (int64_t i = 0; i < size(); ++i) all.push_back(get(i));
        return all;
    }
    std::string contents() { return {memory_.data(), static_cast<size_t>(memory_.bytes())}; }
    CpTensor view() {
        CpTensor tensor{};
        tensor.data = memory_.data();
        tensor.dtype = dtype_;
        tensor.num_dims = static_cast<int32_t>(shape_.size());
        for (size_t i = 0; i < shape_.size(); ++i) tensor.shape[i] = shape_[i];
        return tensor;
    }
    bool guards_intact() { return memory_.guards_intact(); }
    int32_t dtype() const { return dtype_; }

  private:
    int64_t element_bytes() const {
        return dtype_ == CP_F32 || dtype_ == CP_I32 ? 4 : dtype_ == CP_BF16 ? 2 : 1;
    }
    template <class T>
    T& at(int64_t i) {
        return reinterpret_cast<T*>(memory_.data())[i];
    }
    std::vector<int64_t> shape_;
    int32_t dtype_;
    GuardedBytes memory_;
};

// The same numbers on every machine, roughly normal, from a small generator.
class Numbers {
  public:
    explicit Numbers(uint64_t seed) : state_(seed * 2654435769u + 12345u) {}
    double uniform() {
        state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<double>(state_ >> 11) * 0x1p-53;
    }
    double normal() {
        double total = -6.0;
        for (int i = 0; i < 12; ++i) total += uniform();
        return total;
    }
    Tensor tensor(std::vector<int64_t> shape, int32_t dtype = CP_F32, double scale = 1.0) {
        Tensor result(std::move(shape), dtype);
        for (int64_t i = 0; i < result.size(); ++i) result.set(i, scale * normal());
        return result;
    }
    // From -4 to 4: sums of 2^18 products of two are exact in fp32, in any order.
    Tensor integers(std::vector<int64_t> shape, int32_t dtype = CP_F32) {
        Tensor result(std::move(shape), dtype);
        for (int64_t i = 0; i < result.size(); ++i)
            result.set(i, std::floor(uniform() * 9.0) - 4.0);
        return result;
    }

  private:
    uint64_t state_;
};

class OpCall {
  public:
    explicit OpCall(const char* op) {
        const CpBackend* backend = compact_cpu_backend();
        for (int32_t i = 0; i < backend->num_ops; ++i) {
            if (std::strcmp(backend->ops[i].name, op) == 0) op_ = &backend->ops[i];
        }
        CHECK(op_ != nullptr);
    }
    OpCall& input(Tensor& tensor) { return operand(call_.inputs[call_.num_inputs++], tensor); }
    OpCall& absent() {
        call_.inputs[call_.num_inputs++] = CpTensor{};
        return *this;
    }
    OpCall& output(Tensor& tensor) { return operand(call_.outputs[call_.num_outputs++], tensor); }
    OpCall& attribute(const char* name, double value, int32_t slot = -1) {
        call_.attributes[call_.num_attributes++] = {name, value, slot};
        return *this;
    }
    CpStatus check() {
        error_ = {};
        return op_->check == nullptr ? CP_OK : op_->check(&call_, &error_);
    }
    // Checks, runs, and looks at the guards of operands and workspace.
    CpStatus run(CpDevice& device) {
        if (check() != CP_OK) return CP_FAILED;
        CpLimits limits{};
        limits.threads = device.pool.num_threads();
        GuardedBytes workspace(op_->workspace_bytes(&call_, &limits), 0xff);  // NaN
        call_.workspace = workspace.data();
        call_.workspace_bytes = workspace.bytes();
        const CpStatus status = op_->run(&device, &call_, &error_);
        CHECK(workspace.guards_intact());
        for (Tensor* tensor : tensors_) CHECK(tensor->guards_intact());
        return status;
    }
    const CpError& error() const { return error_; }

  private:
    OpCall& operand(CpTensor& slot, Tensor& tensor) {
        slot = tensor.view();
        tensors_.push_back(&tensor);
        return *this;
    }
    const CpOp* op_ = nullptr;
    CpCall call_{};
    CpError error_{};
    std::vector<Tensor*> tensors_;
};

inline std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> sets;
    for (InstructionSet set :
         {InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvx512,
          InstructionSet::kAvx512Bf16, InstructionSet::kAmxBf16}) {
        if (instruction_set_available(set)) sets.push_back(set);
    }
    return sets;
}

// Calls body once per instruction set with one thread and with three; `body` returns the bytes of
// all outputs, which must not depend on the number of threads or on the run.
inline void for_every_device(const std::function<std::string(CpDevice&)>& body) {
    for (InstructionSet set : instruction_sets()) {
        CpDevice one{ThreadPool(1), set}, three{ThreadPool(3), set};
        const std::string expected = body(one);
        const bool threads_agree = body(three) == expected && body(three) == expected;
        if (!CHECK(threads_agree)) std::printf("      on %s\n", instruction_set_name(set));
    }
}

// Error of `found` against fp64, relative to the largest expected magnitude (or `least`, where
// everything cancels), within `tolerance` for fp32 results and one rounding more for bf16 results.
inline bool close(Tensor& found, const std::vector<double>& expected, double tolerance,
                  double least = 1e-30) {
    double largest = least, error = 0.0;
    for (double value : expected) largest = std::max(largest, std::fabs(value));
    for (int64_t i = 0; i < found.size(); ++i) {
        const double difference = found.get(i) - expected[static_cast<size_t>(i)];
        if (!(std::fabs(difference) <= error)) error = std::fabs(difference);
        if (std::isnan(difference)) return false;
    }
    const double allowed = tolerance + (found.dtype() == CP_BF16 ? 0x1p-8 : 0.0);
    if (error <= allowed * largest) return true;
    std::printf("      error %.3g of %.3g, allowed %.3g\n", error, largest, allowed * largest);
    return false;
}

inline constexpr int32_t kDtypes[] = {CP_F32, CP_BF16};

}  // namespace compact::test
