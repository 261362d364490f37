// tanh: y = cap tanh(x / cap), and its gradient from y, dx = dy (1 - (y / cap)^2).
// Two and three accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "cuda/simt/soft_cap.cuh"

namespace compact {
namespace {

struct Tanh {
    SoftCap soft_cap;
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = soft_cap.value(in[0]);
    }
};

struct TanhBackward {
    SoftCap soft_cap;
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [y, dy] = in;
        out[0] = dy * soft_cap.slope(y);
    }
};

SoftCap soft_cap_of(const CpCall& call) { return {static_cast<float>(attribute(call, "cap"))}; }

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<1, 1>(*device, "tanh", *call, Tanh{soft_cap_of(*call)}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<2, 1>(*device, "tanhBackward", *call, TanhBackward{soft_cap_of(*call)},
                             error);
}

}  // namespace

const CpOp kCudaTanhOp = {"tanh", no_workspace, nullptr, run_forward};
const CpOp kCudaTanhBackwardOp = {"tanhBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
