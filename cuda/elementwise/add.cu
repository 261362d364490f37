// add: y = a + b. Three accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Add {
    __device__ __forceinline__ void operator()(const float (&in)[2], float (&out)[1]) const {
        out[0] = in[0] + in[1];
    }
};

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    return elementwise<2, 1>(*device, "add", *call, Add{}, error);
}

}  // namespace

const CpOp kCudaAddOp = {"add", no_workspace, nullptr, run};

}  // namespace compact
