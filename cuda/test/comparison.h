// One op on the CUDA backend against the CPU backend: same operands, results within a stated
// distance, nothing else touched, the same bits on every run and whatever the order of the threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda/test/machine.h"
#include "cuda/test/options.h"
#include "cuda/test/thread_orders.h"
#include "native/test/op_test.h"

namespace compact::test {

// Every op and operand dtype that a comparison has passed for.
inline std::set<std::pair<std::string, int32_t>>& compared() {
    static std::set<std::pair<std::string, int32_t>> all;
    return all;
}

// Largest difference allowed: `tolerance` times the largest magnitude of the output, and one step
// of bf16 where that is its dtype, for a number that lies between two of them. 0: the same bits.
// `shape` holds no values; it says what the bytes are.
inline bool values_agree(const char* op, const char* what, const Tensor& shape,
                         const std::string& expected_bytes, const std::string& found_bytes,
                         double tolerance) {
    if (found_bytes == expected_bytes) return true;
    Tensor expected = shape, found = shape;
    std::memcpy(expected.view().data, expected_bytes.data(), expected_bytes.size());
    std::memcpy(found.view().data, found_bytes.data(), found_bytes.size());
    double largest = 1e-30;
    for (int64_t k = 0; k < expected.size(); ++k) {
        if (std::isfinite(expected.get(k))) largest = std::max(largest, std::fabs(expected.get(k)));
    }
    const double step = expected.dtype() == CP_BF16 ? 0x1p-7 : 0.0;
    for (int64_t k = 0; k < expected.size(); ++k) {
        const double e = expected.get(k), f = found.get(k);
        if (tolerance != 0.0) {
            if (e == f || (std::isnan(e) && std::isnan(f))) continue;
            if (std::fabs(f - e) <= tolerance * largest + step * std::fabs(e)) continue;
        } else {
            const size_t bytes = expected_bytes.size() / static_cast<size_t>(expected.size());
            const size_t at = static_cast<size_t>(k) * bytes;
            if (found_bytes.compare(at, bytes, expected_bytes, at, bytes) == 0) continue;
        }
        std::printf("      %s: %s, element %lld is %.9g, the CPU's %.9g, largest %.3g\n", op, what,
                    static_cast<long long>(k), f, e, largest);
        return false;
    }
    return true;
}

class Comparison {
  public:
    explicit Comparison(const char* op) : op_(op) {}

    Comparison& input(Tensor& tensor) {
        inputs_.push_back(&tensor);
        return *this;
    }
    Comparison& absent() {
        inputs_.push_back(nullptr);
        return *this;
    }
    Comparison& output(std::vector<int64_t> shape, int32_t dtype = CP_F32) {
        outputs_.push_back({Tensor(std::move(shape), dtype), -1});
        return *this;
    }
    // An output in the memory of an input.
    Comparison& output_on(int input) {
        Tensor& tensor = *inputs_[static_cast<size_t>(input)];
        outputs_.push_back({tensor, input});
        return *this;
    }
    Comparison& attribute(const char* name, double value) {
        attributes_.push_back({name, value, -1});
        return *this;
    }

    // Compares these two instead of the CPU and the CUDA backend.
    Comparison& between(Machine& reference, Machine& tested) {
        reference_ = &reference;
        tested_ = &tested;
        return *this;
    }

    bool agrees(double tolerance) {
        if (!run(*reference_, &expected_)) return false;
        std::vector<std::string> again;
        const int orders = is_reduced() ? 1 : kThreadOrders;
        for (int order = 0; order < orders; ++order) {
            set_thread_order(order);
            if (!run(*tested_, order == 0 ? &found_ : &again)) return false;
            if (order > 0 && again != found_) return fail("differs from run to run");
        }
        set_thread_order(0);
        for (size_t i = 0; i < outputs_.size(); ++i) {
            const std::string what = "output " + std::to_string(i);
            if (!values_agree(op_, what.c_str(), outputs_[i].tensor, expected_[i], found_[i],
                              tolerance))
                return false;
        }
        note_dtypes();
        return true;
    }

    // Contents of an output on the CUDA backend, after agrees().
    const std::string& found(size_t output) const { return found_[output]; }
    // Contents of an output on the CPU, where nothing is compared.
    std::vector<std::string> expected() {
        run(cpu_machine(), &expected_);
        return expected_;
    }

    // Runs on the CUDA backend alone, for calls that must fail.
    CpStatus status() {
        std::vector<std::string> ignored;
        run(cuda_machine(), &ignored, &status_);
        return status_;
    }
    const CpError& error() const { return error_; }

  private:
    struct Output {
        Tensor tensor;
        int input;  // whose memory it takes, or -1
    };

    bool fail(const char* what) const {
        std::printf("      %s: %s\n", op_, what);
        return false;
    }

    void note_dtypes() {
        for (Tensor* tensor : inputs_) {
            if (tensor != nullptr) compared().insert({op_, tensor->dtype()});
        }
        for (const Output& output : outputs_) compared().insert({op_, output.tensor.dtype()});
    }

    bool is_output(size_t input) const {
        return std::any_of(outputs_.begin(), outputs_.end(), [&](const Output& output) {
            return output.input == static_cast<int>(input);
        });
    }

    bool run(Machine& machine, std::vector<std::string>* contents, CpStatus* status = nullptr) {
        const CpOp* op = machine.op(op_);
        if (op == nullptr) return fail("no such op");
        CpCall call{};
        for (size_t i = 0; i < inputs_.size(); ++i) {
            CpTensor& view = call.inputs[call.num_inputs++];
            if (inputs_[i] == nullptr) continue;
            view = inputs_[i]->view();
            view.data = machine.place(inputs_[i]->contents(), is_output(i));
        }
        for (Output& output : outputs_) {
            CpTensor& view = call.outputs[call.num_outputs++];
            view = output.tensor.view();
            const auto bytes = static_cast<int64_t>(output.tensor.contents().size());
            view.data =
                output.input >= 0 ? call.inputs[output.input].data : machine.place_noise(bytes);
        }
        for (const CpAttribute& attribute : attributes_) {
            call.attributes[call.num_attributes++] = attribute;
        }
        const CpStatus result = machine.run(op, call);
        error_ = machine.error();
        if (status != nullptr) *status = result;
        contents->clear();
        for (size_t i = 0; i < outputs_.size(); ++i) {
            contents->push_back(machine.get(
                call.outputs[i].data, static_cast<int64_t>(outputs_[i].tensor.contents().size())));
        }
        if (!machine.release_all()) return fail("wrote beside its outputs");
        if (result == CP_OK || status != nullptr) return true;
        std::printf("      %s: %s, expected %s\n", error_.code, error_.received, error_.expected);
        return fail("failed");
    }

    const char* op_;
    std::vector<Tensor*> inputs_;
    std::vector<Output> outputs_;
    std::vector<CpAttribute> attributes_;
    std::vector<std::string> expected_, found_;
    CpStatus status_ = CP_OK;
    CpError error_{};
    Machine* reference_ = &cpu_machine();
    Machine* tested_ = &cuda_machine();
};

}  // namespace compact::test
