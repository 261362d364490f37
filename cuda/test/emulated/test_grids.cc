// Grids for tensors that are wider than a grid is along its second dimension. The kernels do
// nothing here and the tensors have no memory: what is tested is that they can be launched.
#include <utility>
#include <vector>

#include "cuda/emulation/host_runtime.h"
#include "cuda/test/comparison.h"

namespace compact::test {
namespace {

using Shapes = std::vector<std::pair<std::vector<int64_t>, int32_t>>;

void launches(const char* name, const Shapes& inputs, const Shapes& outputs,
              const std::vector<std::pair<const char*, double>>& attributes = {}) {
    CpCall call{};
    const auto view = [](const std::pair<std::vector<int64_t>, int32_t>& shape) {
        CpTensor tensor{};
        for (int64_t extent : shape.first) tensor.shape[tensor.num_dims++] = extent;
        tensor.dtype = shape.second;
        return tensor;
    };
    for (const auto& shape : inputs) call.inputs[call.num_inputs++] = view(shape);
    for (const auto& shape : outputs) call.outputs[call.num_outputs++] = view(shape);
    for (const auto& [key, value] : attributes) {
        call.attributes[call.num_attributes++] = {key, value, -1};
    }
    Machine& machine = cuda_machine();
    const CpLimits limits{};
    CpError error{};
    // The host itself clears what a sort counts into.
    const int64_t workspace_bytes = machine.op(name)->workspace_bytes(&call, &limits);
    std::string workspace(static_cast<size_t>(std::min<int64_t>(workspace_bytes, 4096)), 0);
    call.workspace = workspace.data();
    const int64_t before = emulation::call_counts().launches;
    if (!CHECK(machine.op(name)->run(machine.device(), &call, &error) == CP_OK)) {
        std::printf("      %s: %s\n", name, error.received);
    }
    CHECK(emulation::call_counts().launches > before);
}

}  // namespace

TEST(cuda_grids_of_wide_tensors) {
    cuda_machine();  // opened while its kernels still work
    emulation::set_machine({.idle = true});
    const int64_t columns = 65536 * 2048 + 8;  // of the widest blocks there are
    for (int32_t dtype : kDtypes) {
        for (int64_t inner : {16, 4096}) {
            for (double transposed : {0.0, 1.0}) {
                launches(
                    "matmul",
                    {{{3, inner}, dtype},
                     {transposed != 0.0 ? std::vector{columns, inner} : std::vector{inner, columns},
                      dtype},
                     {}},
                    {{{3, columns}, CP_F32}}, {{"transposeB", transposed}, {"alpha", 1.0}});
            }
        }
        launches("project", {{{3, 16}, dtype}}, {{{3, columns}, dtype}}, {{"distribution", 0.0}});
        launches("projectBackUpdate", {{{3, columns}, dtype}, {{8, columns}, dtype}},
                 {{{3, columns}, dtype}});
        launches("projectTransfer", {{{8, columns}, dtype}}, {{{8, columns}, dtype}},
                 {{"rows", 16.0}, {"newEpoch", 1.0}});
        launches("embedding", {{{5, columns}, dtype}, {{3}, CP_I32}}, {{{3, columns}, dtype}});
        launches("embeddingBackward", {{{3}, CP_I32}, {{3, columns}, dtype}, {}},
                 {{{5, columns}, CP_F32}});
        launches("columnSum", {{{3, columns}, dtype}, {}}, {{{columns}, CP_F32}});
    }
    emulation::set_machine({});
}

}  // namespace compact::test
