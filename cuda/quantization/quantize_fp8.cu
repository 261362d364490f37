// quantizeFp8: groups as eight-bit floats (native/base/fp8.h), scale = max|x| / 448;
// dequantizeFp8: y = float scale.
#include "cuda/quantization/groups.cuh"
#include "native/base/fp8.h"

namespace compact {
namespace {

struct Fp8Format {
    using Code = uint8_t;
    static constexpr float kLargest = kFp8Largest;

    __device__ __forceinline__ static Code encode(float share) { return fp8_from_float(share); }
    __device__ __forceinline__ static float decode(Code code) { return fp8_to_float(code); }
};

CpStatus check_quantize(const CpCall* call, CpError* error) {
    return check_groups(call, "quantizeFp8", call->inputs[0], call->outputs[1], error);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError* error) {
    return quantize_groups<Fp8Format>(*device, "quantizeFp8", *call, error);
}

CpStatus check_dequantize(const CpCall* call, CpError* error) {
    return check_groups(call, "dequantizeFp8", call->inputs[0], call->inputs[1], error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError* error) {
    return dequantize_groups<Fp8Format>(*device, "dequantizeFp8", *call, error);
}

}  // namespace

const CpOp kCudaQuantizeFp8Op = {"quantizeFp8", no_workspace, check_quantize, run_quantize};
const CpOp kCudaDequantizeFp8Op = {"dequantizeFp8", no_workspace, check_dequantize, run_dequantize};

}  // namespace compact
