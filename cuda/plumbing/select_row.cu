// selectRow: y = row `row` of x.
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const double row = attribute(*call, "row");
    const int64_t rows = input.shape[0];
    if (!(row >= 0.0 && row < static_cast<double>(rows))) {
        return fail_index(error, "selectRow", "a row", rows, static_cast<int64_t>(row), 0);
    }
    const int64_t bytes = input.shape[1] * dtype_bytes(input.dtype);
    CUDA_CHECK(*device, "selectRow", error,
               cudaMemcpyAsync(
                   call->outputs[0].data, data<char>(input) + static_cast<int64_t>(row) * bytes,
                   static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, device->stream));
    return CP_OK;
}

}  // namespace

const CpOp kCudaSelectRowOp = {"selectRow", no_workspace, nullptr, run};

}  // namespace compact
