// firstRows: the first row of each of as many equal parts of x as y has rows; and its gradient.
#include <cstring>

#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_parts(call->inputs[0], call->outputs[0], "firstRows", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_parts(call->outputs[0], call->inputs[0], "firstRowsBackward", error);
}

size_t row_bytes(const CpTensor& tensor) {
    return static_cast<size_t>(tensor.shape[1] * dtype_bytes(tensor.dtype));
}

CpStatus run_forward(CpDevice*, const CpCall* call, CpError*) {
    const CpTensor &input = call->inputs[0], &output = call->outputs[0];
    const int64_t parts = output.shape[0], part_rows = input.shape[0] / parts;
    const size_t bytes = row_bytes(output);
    for (int64_t part = 0; part < parts; ++part) {
        std::memcpy(data<char>(output) + part * static_cast<int64_t>(bytes),
                    data<char>(input) + part * part_rows * static_cast<int64_t>(bytes), bytes);
    }
    return CP_OK;
}

CpStatus run_backward(CpDevice*, const CpCall* call, CpError*) {
    const CpTensor &input = call->inputs[0], &output = call->outputs[0];
    const int64_t parts = input.shape[0], part_rows = output.shape[0] / parts;
    const size_t bytes = row_bytes(output);
    std::memset(output.data, 0, static_cast<size_t>(output.shape[0]) * bytes);
    for (int64_t part = 0; part < parts; ++part) {
        std::memcpy(data<char>(output) + part * part_rows * static_cast<int64_t>(bytes),
                    data<char>(input) + part * static_cast<int64_t>(bytes), bytes);
    }
    return CP_OK;
}

}  // namespace

const CpOp kFirstRowsOp = {"firstRows", no_workspace, check_forward, run_forward};
const CpOp kFirstRowsBackwardOp = {"firstRowsBackward", no_workspace, check_backward, run_backward};

}  // namespace compact::COMPACT_ISA
