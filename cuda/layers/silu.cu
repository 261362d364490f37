// silu: y = x sigmoid(x), and its gradient dx = dy sigmoid(x) (1 + x (1 - sigmoid(x))).
// Two and three accesses per element; limit: memory bandwidth.
#include "cuda/layers/activation.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Silu {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0] * sigmoid(in[0]);
    }
};

struct SiluBackward {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [x, dy] = in;
        out[0] = dy * silu_slope(x, sigmoid(x));
    }
};

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<1, 1>(*device, "silu", *call, Silu{}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<2, 1>(*device, "siluBackward", *call, SiluBackward{}, error);
}

}  // namespace

const CpOp kCudaSiluOp = {"silu", no_workspace, nullptr, run_forward};
const CpOp kCudaSiluBackwardOp = {"siluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
