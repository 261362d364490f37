// Calls of one op on a CUDA device, one by one and as a group: the same bits, nothing else touched,
// whatever the order of the threads. Equal tensors given to several calls are one operand.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cuda/test/machine.h"
#include "cuda/test/options.h"
#include "cuda/test/thread_orders.h"
#include "native/test/op_test.h"

namespace compact::test {

class GroupComparison {
  public:
    explicit GroupComparison(const char* op) : op_(op) {}

    // A further call; what follows belongs to it.
    GroupComparison& call() {
        members_.emplace_back();
        return *this;
    }
    GroupComparison& input(Tensor& tensor) {
        members_.back().inputs.push_back(&tensor);
        return *this;
    }
    GroupComparison& absent() {
        members_.back().inputs.push_back(nullptr);
        return *this;
    }
    GroupComparison& output(std::vector<int64_t> shape, int32_t dtype) {
        members_.back().outputs.push_back({Tensor(std::move(shape), dtype), -1});
        return *this;
    }
    // An output in the memory of an input.
    GroupComparison& output_on(int input) {
        Tensor& tensor = *members_.back().inputs[static_cast<size_t>(input)];
        members_.back().outputs.push_back({tensor, input});
        return *this;
    }
    GroupComparison& attribute(const char* name, double value) {
        members_.back().attributes.push_back({name, value, -1});
        return *this;
    }

    bool agrees(Machine& machine = cuda_machine()) {
        const std::vector<std::string> expected = one_by_one(machine);
        const int orders = is_reduced() ? 1 : kThreadOrders;
        bool same = !expected.empty();
        for (int order = 0; order < orders; ++order) {
            set_thread_order(order);
            same = same && together(machine) == expected;
        }
        set_thread_order(0);
        return same;
    }

    // Contents of all outputs; nothing when the run failed or wrote beside them.
    std::vector<std::string> one_by_one(Machine& machine) { return run(machine, false); }
    std::vector<std::string> together(Machine& machine) { return run(machine, true); }

  private:
    std::vector<std::string> run(Machine& machine, bool as_group) {
        const CpOp* op = machine.op(op_);
        std::map<Tensor*, char*> placed;
        std::vector<CpCall> calls;
        for (Member& member : members_) calls.push_back(place(machine, member, placed));
        if (as_group) {
            if (!CHECK(machine.run_group(op, calls) == CP_OK)) return {};
        } else {
            for (CpCall& call : calls) {
                if (!CHECK(machine.run(op, call) == CP_OK)) return {};
            }
        }
        std::vector<std::string> contents;
        for (size_t i = 0; i < members_.size(); ++i) {
            for (size_t j = 0; j < members_[i].outputs.size(); ++j) {
                const auto bytes = members_[i].outputs[j].tensor.contents().size();
                contents.push_back(
                    machine.get(calls[i].outputs[j].data, static_cast<int64_t>(bytes)));
            }
        }
        if (!CHECK(machine.release_all())) return {};
        return contents;
    }

    struct Output {
        Tensor tensor;
        int input;  // whose memory it takes, or -1
    };
    struct Member {
        std::vector<Tensor*> inputs;
        std::vector<Output> outputs;
        std::vector<CpAttribute> attributes;

        bool writes(size_t input) const {
            for (const Output& output : outputs) {
                if (output.input == static_cast<int>(input)) return true;
            }
            return false;
        }
    };

    static CpCall place(Machine& machine, Member& member, std::map<Tensor*, char*>& placed) {
        CpCall call{};
        for (size_t i = 0; i < member.inputs.size(); ++i) {
            CpTensor& view = call.inputs[call.num_inputs++];
            Tensor* tensor = member.inputs[i];
            if (tensor == nullptr) continue;
            char*& data = placed[tensor];
            if (data == nullptr) data = machine.place(tensor->contents(), member.writes(i));
            view = tensor->view();
            view.data = data;
        }
        for (Output& output : member.outputs) {
            CpTensor& view = call.outputs[call.num_outputs++];
            view = output.tensor.view();
            const auto bytes = static_cast<int64_t>(output.tensor.contents().size());
            view.data =
                output.input >= 0 ? call.inputs[output.input].data : machine.place_noise(bytes);
        }
        for (const CpAttribute& attribute : member.attributes) {
            call.attributes[call.num_attributes++] = attribute;
        }
        return call;
    }

    const char* op_;
    std::vector<Member> members_;
};

}  // namespace compact::test
