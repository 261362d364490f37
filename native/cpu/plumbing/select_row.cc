// selectRow: y = row `row` of x.
#include <cstring>

#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus run(CpDevice*, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const double row = attribute(*call, "row");
    const int64_t rows = input.shape[0];
    if (!(row >= 0.0 && row < static_cast<double>(rows))) {
        return fail_index(error, "selectRow", "a row", rows, static_cast<int64_t>(row), 0);
    }
    const int64_t bytes = input.shape[1] * dtype_bytes(input.dtype);
    std::memcpy(call->outputs[0].data, data<char>(input) + static_cast<int64_t>(row) * bytes,
                static_cast<size_t>(bytes));
    return CP_OK;
}

}  // namespace

const CpOp kSelectRowOp = {"selectRow", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
