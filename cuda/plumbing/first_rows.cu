// firstRows: the first row of each of as many equal parts of x as y has rows; and its gradient.
// One access per element of the larger tensor; limit: memory bandwidth.
#include "cuda/runtime/device.h"
#include "cuda/runtime/ops.h"
#include "cuda/simt/pack.cuh"
#include "native/backend/op_checks.h"

namespace compact {
namespace {

constexpr int kThreads = 256;

template <class T>
struct Rows {
    const T* from;
    T* to;
    int64_t elements;  // of `to`
    int64_t width, part_rows;
};

template <class T>
__global__ void __launch_bounds__(kThreads) first_rows_kernel(Rows<T> p) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (at >= p.elements) return;
    const int64_t row = at / p.width, column = at % p.width;
    store_element(p.to + at, load_element(p.from + row * p.part_rows * p.width + column));
}

template <class T>
__global__ void __launch_bounds__(kThreads) first_rows_backward_kernel(Rows<T> p) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (at >= p.elements) return;
    const int64_t row = at / p.width, column = at % p.width;
    const int64_t part = row / p.part_rows;
    const bool is_first = row % p.part_rows == 0;
    store_element(p.to + at, is_first ? load_element(p.from + part * p.width + column) : 0.0f);
}

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_parts(call->inputs[0], call->outputs[0], "firstRows", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_parts(call->outputs[0], call->inputs[0], "firstRowsBackward", error);
}

template <class T>
Rows<T> rows_of(const CpCall& call, const CpTensor& whole, const CpTensor& first) {
    const CpTensor& output = call.outputs[0];
    return {data<T>(call.inputs[0]), data<T>(output), num_elements(output), whole.shape[1],
            whole.shape[0] / first.shape[0]};
}

dim3 grid(const CpCall& call) {
    return dim3(static_cast<unsigned>(ceil_div(num_elements(call.outputs[0]), kThreads)));
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    dispatch(call->outputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(first_rows_kernel<T>, grid(*call), dim3(kThreads), 0, device->stream,
                  rows_of<T>(*call, call->inputs[0], call->outputs[0]));
    });
    return check_launch(*device, "firstRows", error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    dispatch(call->outputs[0].dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(first_rows_backward_kernel<T>, grid(*call), dim3(kThreads), 0, device->stream,
                  rows_of<T>(*call, call->outputs[0], call->inputs[0]));
    });
    return check_launch(*device, "firstRowsBackward", error);
}

}  // namespace

const CpOp kCudaFirstRowsOp = {"firstRows", no_workspace, check_forward, run_forward};
const CpOp kCudaFirstRowsBackwardOp = {"firstRowsBackward", no_workspace, check_backward,
                                       run_backward};

}  // namespace compact
