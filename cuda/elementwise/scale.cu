// scale: y = factor x. Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Scale {
    float factor;

    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = factor * in[0];
    }
};

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const Scale scale{static_cast<float>(attribute(*call, "factor"))};
    return elementwise<1, 1>(*device, "scale", *call, scale, error);
}

}  // namespace

const CpOp kCudaScaleOp = {"scale", no_workspace, nullptr, run};

}  // namespace compact
