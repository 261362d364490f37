// clip: y = min(limit, max(-limit, x)). Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Clip {
    float limit;

    // Comparisons with NaN are false, so that it stays.
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0] > limit ? limit : in[0] < -limit ? -limit : in[0];
    }
};

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const Clip clip{static_cast<float>(attribute(*call, "limit"))};
    return elementwise<1, 1>(*device, "clip", *call, clip, error);
}

}  // namespace

const CpOp kCudaClipOp = {"clip", no_workspace, nullptr, run};

}  // namespace compact
