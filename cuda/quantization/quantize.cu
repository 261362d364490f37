// quantize: groups as int8, code = round(x / scale) with scale = max|x| / 127; dequantize:
// y = code scale.
#include "cuda/quantization/groups.cuh"

namespace compact {
namespace {

struct Int8Format {
    using Code = int8_t;
    static constexpr float kLargest = 127.0f;

    __device__ __forceinline__ static Code encode(float share) {
        return static_cast<Code>(rintf(share));
    }
    __device__ __forceinline__ static float decode(Code code) { return static_cast<float>(code); }
};

CpStatus check_quantize(const CpCall* call, CpError* error) {
    return check_groups(call, "quantize", call->inputs[0], call->outputs[1], error);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError* error) {
    return quantize_groups<Int8Format>(*device, "quantize", *call, error);
}

CpStatus check_dequantize(const CpCall* call, CpError* error) {
    return check_groups(call, "dequantize", call->inputs[0], call->inputs[1], error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError* error) {
    return dequantize_groups<Int8Format>(*device, "dequantize", *call, error);
}

}  // namespace

const CpOp kCudaQuantizeOp = {"quantize", no_workspace, check_quantize, run_quantize};
const CpOp kCudaDequantizeOp = {"dequantize", no_workspace, check_dequantize, run_dequantize};

}  // namespace compact
