// swiglu: y = silu(gate) up, and the gradients of both factors; silu(gate) is made again, not kept.
// Three and five accesses per element; limit: memory bandwidth.
#include "cuda/layers/activation.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Swiglu {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [gate, up] = in;
        out[0] = gate * sigmoid(gate) * up;
    }
};

struct SwigluBackward {
    __device__ __forceinline__ void operator()(const float (&in)[3], float (&out)[2]) const {
        const auto [gate, up, dy] = in;
        const float s = sigmoid(gate);
        out[0] = dy * up * silu_slope(gate, s);
        out[1] = dy * gate * s;
    }
};

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<2, 1>(*device, "swiglu", *call, Swiglu{}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<3, 2>(*device, "swigluBackward", *call, SwigluBackward{}, error);
}

}  // namespace

const CpOp kCudaSwigluOp = {"swiglu", no_workspace, nullptr, run_forward};
const CpOp kCudaSwigluBackwardOp = {"swigluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
