// quantize: per group of groupSize consecutive elements scale = max|x| / 127 and
// code = round(x / scale) to int8; dequantize: y = code scale. A group of zeros has scale 0; a
// group with NaN or infinity has that scale, so that it does not come back finite by accident.
#include "native/backend/op_checks.h"
#include "native/cpu/quantization/groups.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

CpStatus check_quantize(const CpCall* call, CpError* error) {
    return check_groups(call, "quantize", call->inputs[0], call->outputs[1], error);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    int8_t* codes = data<int8_t>(call->outputs[0]);
    float* scales = data<float>(call->outputs[1]);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_groups(*device, num_elements(input), group_size,
                   [=](int64_t group, int64_t begin, int64_t end) {
                       scales[group] = largest_of(x + begin, end - begin) / 127.0f;
                       const Vec scale = splat(scales[group]);
                       const bool finite = scales[group] > 0.0f && scales[group] < kInfinity;
                       for_lanes(end - begin, [&](int64_t i, auto lanes) {
                           const Vec code = round_even(load(x + begin + i, lanes) / scale);
                           // A subnormal scale may have been rounded down by much: the code would
                           // not fit.
                           const Vec limited = max(splat(-127.0f), min(splat(127.0f), code));
                           store(codes + begin + i, finite ? limited : splat(0.0f), lanes);
                       });
                   });
    });
    return CP_OK;
}

CpStatus check_dequantize(const CpCall* call, CpError* error) {
    return check_groups(call, "dequantize", call->inputs[0], call->inputs[1], error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const int8_t* codes = data<int8_t>(call->inputs[0]);
    const float* scales = data<float>(call->inputs[1]);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    with_dtype(output.dtype, [&](auto type) {
        auto* y = data<decltype(type)>(output);
        for_groups(*device, num_elements(output), group_size,
                   [=](int64_t group, int64_t begin, int64_t end) {
                       const Vec scale = splat(scales[group]);
                       for_lanes(end - begin, [&](int64_t i, auto lanes) {
                           store(y + begin + i, load(codes + begin + i, lanes) * scale, lanes);
                       });
                   });
    });
    return CP_OK;
}

}  // namespace

const CpOp kQuantizeOp = {"quantize", no_workspace, check_quantize, run_quantize};
const CpOp kDequantizeOp = {"dequantize", no_workspace, check_dequantize, run_dequantize};

}  // namespace compact::COMPACT_ISA
