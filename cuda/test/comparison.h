// One op on the emulated GPU against the CPU backend: same operands, results within a stated
// distance, the same bits whatever the order in which the threads of a block take their turns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/backend_cuda.h"
#include "cuda/emulation/fibers.h"
#include "native/backend/registry.h"
#include "native/test/op_test.h"

namespace compact::test {

// A backend with one open device.
class Machine {
  public:
    explicit Machine(const CpBackend* backend) : backend_(backend) {
        CpDeviceOptions options{};
        options.threads = 2;
        options.instruction_set = "auto";
        CHECK(backend->open(&options, &device_, &error_) == CP_OK);
    }
    ~Machine() { backend_->close(device_); }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    const CpOp* op(const char* name) const {
        for (int32_t i = 0; i < backend_->num_ops; ++i) {
            if (std::strcmp(backend_->ops[i].name, name) == 0) return &backend_->ops[i];
        }
        return nullptr;
    }
    // Exactly so many bytes, so that AddressSanitizer sees an access outside them.
    char* allocate(int64_t bytes, const char* contents) {
        void* memory = nullptr;
        CHECK(backend_->allocate(device_, bytes, &memory, &error_) == CP_OK);
        const std::string noise(static_cast<size_t>(bytes), '\x7e');  // large finite numbers
        const char* source = contents != nullptr ? contents : noise.data();
        CHECK(backend_->write(device_, memory, source, bytes, &error_) == CP_OK);
        blocks_.push_back({memory, bytes});
        return static_cast<char*>(memory);
    }
    std::string read(const void* memory, int64_t bytes) {
        std::string contents(static_cast<size_t>(bytes), '\0');
        CHECK(backend_->read(device_, contents.data(), memory, bytes, &error_) == CP_OK);
        return contents;
    }
    CpStatus run(const CpOp* op, CpCall& call) {
        CpLimits limits{};
        limits.threads = 2;
        error_ = {};
        if (op->check != nullptr && op->check(&call, &error_) != CP_OK) return CP_FAILED;
        call.workspace_bytes = op->workspace_bytes(&call, &limits);
        call.workspace = allocate(call.workspace_bytes, nullptr);
        if (op->run(device_, &call, &error_) != CP_OK) return CP_FAILED;
        return backend_->synchronize(device_, &error_);
    }
    void release_all() {
        for (const Block& block : blocks_) backend_->release(device_, block.memory, block.bytes);
        blocks_.clear();
    }
    const CpError& error() const { return error_; }

  private:
    struct Block {
        void* memory;
        int64_t bytes;
    };
    const CpBackend* backend_;
    CpDevice* device_ = nullptr;
    CpError error_{};
    std::vector<Block> blocks_;
};

inline Machine& cpu_machine() {
    static Machine machine(compact_cpu_backend());
    return machine;
}

inline Machine& emulated_machine() {
    static Machine machine(compact_cuda_backend());
    return machine;
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

    // Largest difference allowed: `tolerance` times the largest magnitude of the output, and one
    // step of bf16 where that is its dtype, for a number that lies between two of them. 0: the same
    // bits.
    bool agrees(double tolerance) {
        if (!run(cpu_machine(), &expected_)) return false;
        using emulation::FiberOrder;
        std::vector<std::string> other;
        emulation::set_fiber_order(FiberOrder::kForward, 1);
        if (!run(emulated_machine(), &found_)) return false;
        for (FiberOrder order : {FiberOrder::kBackward, FiberOrder::kShuffled}) {
            emulation::set_fiber_order(order, 7);
            if (!run(emulated_machine(), &other)) return false;
            if (other != found_) return fail("depends on the order of threads");
        }
        emulation::set_fiber_order(FiberOrder::kForward, 1);
        for (size_t i = 0; i < outputs_.size(); ++i) {
            if (!output_agrees(i, tolerance)) return false;
        }
        return true;
    }

    // Contents of an output on the emulated GPU, after agrees().
    const std::string& found(size_t output) const { return found_[output]; }

    // Runs on the emulated GPU alone, for calls that must fail.
    CpStatus status() {
        std::vector<std::string> ignored;
        run(emulated_machine(), &ignored, &status_);
        return status_;
    }
    const CpError& error() const { return emulated_machine().error(); }

  private:
    struct Output {
        Tensor tensor;
        int input;  // whose memory it takes, or -1
    };

    bool fail(const char* what) const {
        std::printf("      %s: %s\n", op_, what);
        return false;
    }

    bool run(Machine& machine, std::vector<std::string>* contents, CpStatus* status = nullptr) {
        const CpOp* op = machine.op(op_);
        if (op == nullptr) return fail("no such op");
        CpCall call{};
        for (Tensor* tensor : inputs_) {
            CpTensor& view = call.inputs[call.num_inputs++];
            if (tensor == nullptr) continue;
            view = tensor->view();
            const std::string bytes = tensor->contents();
            view.data = machine.allocate(static_cast<int64_t>(bytes.size()), bytes.data());
        }
        for (Output& output : outputs_) {
            CpTensor& view = call.outputs[call.num_outputs++];
            view = output.tensor.view();
            const auto bytes = static_cast<int64_t>(output.tensor.contents().size());
            view.data = output.input >= 0 ? call.inputs[output.input].data
                                          : machine.allocate(bytes, nullptr);
        }
        for (const CpAttribute& attribute : attributes_) {
            call.attributes[call.num_attributes++] = attribute;
        }
        const CpStatus result = machine.run(op, call);
        if (status != nullptr) *status = result;
        contents->clear();
        for (size_t i = 0; i < outputs_.size(); ++i) {
            contents->push_back(machine.read(
                call.outputs[i].data, static_cast<int64_t>(outputs_[i].tensor.contents().size())));
        }
        machine.release_all();
        if (result == CP_OK || status != nullptr) return true;
        std::printf("      %s: %s, expected %s\n", machine.error().code, machine.error().received,
                    machine.error().expected);
        return fail("failed");
    }

    bool output_agrees(size_t i, double tolerance) {
        if (found_[i] == expected_[i]) return true;
        if (tolerance == 0.0) return report_bits(i);
        Tensor expected = outputs_[i].tensor, found = outputs_[i].tensor;
        std::memcpy(expected.view().data, expected_[i].data(), expected_[i].size());
        std::memcpy(found.view().data, found_[i].data(), found_[i].size());
        double largest = 1e-30;
        for (int64_t k = 0; k < expected.size(); ++k) {
            if (std::isfinite(expected.get(k))) {
                largest = std::max(largest, std::fabs(expected.get(k)));
            }
        }
        const double step = expected.dtype() == CP_BF16 ? 0x1p-7 : 0.0;
        for (int64_t k = 0; k < expected.size(); ++k) {
            const double e = expected.get(k), f = found.get(k);
            if (e == f || (std::isnan(e) && std::isnan(f))) continue;
            if (!(std::fabs(f - e) <= tolerance * largest + step * std::fabs(e))) {
                std::printf(
                    "      %s: output %zu, element %lld is %.9g, the CPU's %.9g, largest %.3g\n",
                    op_, i, static_cast<long long>(k), f, e, largest);
                return false;
            }
        }
        return true;
    }

    bool report_bits(size_t i) {
        size_t at = 0;
        while (found_[i][at] == expected_[i][at]) ++at;
        std::printf("      %s: output %zu differs from byte %zu on\n", op_, i, at);
        return false;
    }

    const char* op_;
    std::vector<Tensor*> inputs_;
    std::vector<Output> outputs_;
    std::vector<CpAttribute> attributes_;
    std::vector<std::string> expected_, found_;
    CpStatus status_ = CP_OK;
};

}  // namespace compact::test
