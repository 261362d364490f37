// cast: the same numbers in another dtype, bf16 by rounding to nearest even.
// Two accesses per element; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"

namespace compact {
namespace {

struct Same {
    __device__ __forceinline__ void operator()(const float (&in)[1], float (&out)[1]) const {
        out[0] = in[0];
    }
};

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    CpStatus status = CP_OK;
    dispatch(call->inputs[0].dtype, [&](auto* from) {
        dispatch(call->outputs[0].dtype, [&](auto* to) {
            using From = std::remove_pointer_t<decltype(from)>;
            using To = std::remove_pointer_t<decltype(to)>;
            status = elementwise<From, To, 1, 1>(*device, "cast", *call, Same{}, error);
        });
    });
    return status;
}

}  // namespace

const CpOp kCudaCastOp = {"cast", no_workspace, nullptr, run};

}  // namespace compact
