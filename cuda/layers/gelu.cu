// gelu: y = x Phi(x) in either form, and the gradients.
// Two and three accesses per element; limit: memory bandwidth.
#include "cuda/layers/activation.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

template <class Form>
struct Gelu {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0] * Form::gate(in[0]);
    }
};

template <class Form>
struct GeluBackward {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [x, dy] = in;
        out[0] = dy * Form::slope(x);
    }
};

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return attribute(*call, "approximate") != 0.0
               ? elementwise<1, 1>(*device, "gelu", *call, Gelu<TanhGelu>{}, error)
               : elementwise<1, 1>(*device, "gelu", *call, Gelu<ExactGelu>{}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return attribute(*call, "approximate") != 0.0
               ? elementwise<2, 1>(*device, "geluBackward", *call, GeluBackward<TanhGelu>{}, error)
               : elementwise<2, 1>(*device, "geluBackward", *call, GeluBackward<ExactGelu>{},
                                   error);
}

}  // namespace

const CpOp kCudaGeluOp = {"gelu", no_workspace, nullptr, run_forward};
const CpOp kCudaGeluBackwardOp = {"geluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
