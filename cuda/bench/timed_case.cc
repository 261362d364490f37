#include "cuda/bench/timed_case.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "cuda/bench/device_parts.h"

namespace compact::bench {
namespace {

constexpr int64_t kMaxSets = 64;
constexpr int64_t kMaxRingBytes = int64_t{4} << 30;

int64_t bytes_of(const CpTensor& tensor) {
    int64_t bytes = tensor.dtype == CP_BF16 ? 2 : 4;
    for (int i = 0; i < tensor.num_dims; ++i) bytes *= tensor.shape[i];
    return bytes;
}

CpTensor described(const Operand& operand) {
    CpTensor tensor{};
    tensor.dtype = operand.dtype;
    for (int64_t extent : operand.shape) tensor.shape[tensor.num_dims++] = extent;
    return tensor;
}

}  // namespace

TimedCase::TimedCase(const CpBackend& backend, CpDevice* device, const KernelCase& kernel)
    : backend_(backend), device_(device), kernel_(kernel) {
    if (kernel.op != "panel") op_ = find(kernel.op.c_str());
    const auto bytes = std::max<int64_t>(1, static_cast<int64_t>(kernel.bytes));
    const int64_t cold = 3 * l2_cache_bytes(*device) / bytes + 2;
    const int64_t sets =
        std::max<int64_t>(1, std::min({cold, kMaxSets, kMaxRingBytes / bytes + 1}));
    for (int64_t i = 0; i < sets; ++i) {
        CpCall call{};
        prepare(call);
        calls_.push_back(call);
    }
}

TimedCase::~TimedCase() {
    for (const Block& block : blocks_) backend_.release(device_, block.data, block.bytes);
}

std::vector<double> TimedCase::measure(int samples, int runs_per_sample, int warmup) {
    size_t next = 0;
    const auto run_next = [&] { run(calls_[next++ % calls_.size()]); };
    for (int i = 0; i < warmup; ++i) run_next();
    require(backend_.mark(device_, 0, &error_));
    for (int sample = 0; sample < samples; ++sample) {
        for (int i = 0; i < runs_per_sample; ++i) run_next();
        require(backend_.mark(device_, sample + 1, &error_));
    }
    require(backend_.synchronize(device_, &error_));
    std::vector<double> times;
    for (int sample = 0; sample < samples; ++sample) {
        double us = 0.0;
        require(backend_.elapsed_us(device_, sample, sample + 1, &us, &error_));
        times.push_back(us / runs_per_sample);
    }
    return times;
}

void* TimedCase::allocate(int64_t bytes) {
    void* memory = nullptr;
    require(backend_.allocate(device_, bytes, &memory, &error_));
    blocks_.push_back({memory, bytes});
    return memory;
}

// Numbers as in training: constants would draw less power, and clocks would be higher.
void TimedCase::fill(const CpTensor& tensor, Contents contents) {
    if (contents == Contents::kNothing) return;
    if (contents == Contents::kTokens) {
        std::vector<int32_t> ids(static_cast<size_t>(tensor.shape[0]));
        uint32_t state = next_seed_++;
        for (int32_t& id : ids) {
            state = state * 1664525u + 1013904223u;
            id = static_cast<int32_t>((state >> 16) % 100);
        }
        require(backend_.write(device_, tensor.data, ids.data(), bytes_of(tensor), &error_));
        return;
    }
    CpCall call{};
    call.outputs[call.num_outputs++] = tensor;
    if (contents == Contents::kPositive) {
        call.attributes[call.num_attributes++] = {"value", 1e-4, -1};
        require(find("fill")->run(device_, &call, &error_));
        return;
    }
    const double seed = next_seed_++;
    for (const CpAttribute& attribute :
         {CpAttribute{"seedLow", seed, -1}, CpAttribute{"seedHigh", 0, -1},
          CpAttribute{"tensorId", 1, -1}, CpAttribute{"standardDeviation", 0.02, -1}}) {
        call.attributes[call.num_attributes++] = attribute;
    }
    require(find("randomNormal")->run(device_, &call, &error_));
}

CpTensor TimedCase::place(const Operand& operand) {
    CpTensor tensor = described(operand);
    if (tensor.num_dims == 0) return tensor;
    tensor.data = allocate(bytes_of(tensor));
    fill(tensor, operand.contents);
    return tensor;
}

void TimedCase::prepare(CpCall& call) {
    for (const Operand& operand : kernel_.inputs) call.inputs[call.num_inputs++] = place(operand);
    for (const Operand& operand : kernel_.outputs) {
        CpTensor& output = call.outputs[call.num_outputs++];
        if (operand.same_as_input >= 0) {
            output = call.inputs[operand.same_as_input];
        } else {
            output = place(operand);
        }
    }
    for (const CpAttribute& attribute : kernel_.attributes) {
        call.attributes[call.num_attributes++] = attribute;
    }
    if (op_ == nullptr) return;
    CpLimits limits{};
    if (op_->check != nullptr) require(op_->check(&call, &error_));
    call.workspace_bytes = op_->workspace_bytes(&call, &limits);
    if (call.workspace_bytes > 0) call.workspace = allocate(call.workspace_bytes);
}

void TimedCase::run(CpCall& call) {
    if (op_ != nullptr) {
        require(op_->run(device_, &call, &error_));
        return;
    }
    const CpTensor& panel = call.outputs[0];
    require(make_projection_panel(*device_, panel.shape[0], panel.shape[1], panel.data, &error_));
}

void TimedCase::require(CpStatus status) const {
    if (status == CP_OK) return;
    throw std::runtime_error(std::string(error_.code) + ": " + error_.op + ", expected " +
                             error_.expected + ", found " + error_.received);
}

const CpOp* TimedCase::find(const char* name) const {
    for (int32_t i = 0; i < backend_.num_ops; ++i) {
        if (std::strcmp(backend_.ops[i].name, name) == 0) return &backend_.ops[i];
    }
    throw std::runtime_error(std::string("no operation ") + name);
}

}  // namespace compact::bench
