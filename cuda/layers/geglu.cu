// geglu: y = gelu(gate) up with the tanh form of gelu, and the gradients of both factors;
// gelu(gate) is made again, not kept. Shazeer, "GLU Variants Improve Transformer", 2020. Three and
// five accesses per element; limit: memory bandwidth.
#include "cuda/layers/activation.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Geglu {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        const auto [gate, up] = in;
        out[0] = gate * TanhGelu::gate(gate) * up;
    }
};

struct GegluBackward {
    __device__ __forceinline__ void operator()(const float (&in)[3], float (&out)[2]) const {
        const auto [gate, up, dy] = in;
        out[0] = dy * up * TanhGelu::slope(gate);
        out[1] = dy * gate * TanhGelu::gate(gate);
    }
};

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<2, 1>(*device, "geglu", *call, Geglu{}, error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<3, 2>(*device, "gegluBackward", *call, GegluBackward{}, error);
}

}  // namespace

const CpOp kCudaGegluOp = {"geglu", no_workspace, nullptr, run_forward};
const CpOp kCudaGegluBackwardOp = {"gegluBackward", no_workspace, nullptr, run_backward};

}  // namespace compact
