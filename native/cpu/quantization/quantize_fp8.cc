// quantizeFp8: per group of groupSize consecutive elements scale = max|x| / 448 and codes of the
// nearest eight-bit floats to x / scale (native/base/fp8.h); dequantizeFp8: y = float scale. Groups
// of zeros, and those with NaN or infinity, are as of `quantize`.
#include "native/backend/op_checks.h"
#include "native/base/fp8.h"
#include "native/cpu/quantization/groups.h"
#include "native/cpu/runtime/ops.h"

namespace compact::COMPACT_ISA {
namespace {

// The numbers of all codes.
struct Fp8Levels {
    float level[256];

    Fp8Levels() {
        for (int code = 0; code < 256; ++code) level[code] = fp8_to_float(uint8_t(code));
    }
};

CpStatus check_quantize(const CpCall* call, CpError* error) {
    return check_groups(call, "quantizeFp8", call->inputs[0], call->outputs[1], error);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    uint8_t* codes = data<uint8_t>(call->outputs[0]);
    float* scales = data<float>(call->outputs[1]);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_groups(*device, num_elements(input), group_size,
                   [=](int64_t group, int64_t begin, int64_t end) {
                       scales[group] = largest_of(x + begin, end - begin) / kFp8Largest;
                       const Vec scale = splat(scales[group]);
                       const bool finite = scales[group] > 0.0f && scales[group] < kInfinity;
                       for (int64_t i = begin; i < end; i += kWidth) {
                           const int64_t count = std::min(kWidth, end - i);
                           float shares[kWidth] = {};
                           for_lanes(count, [&](int64_t j, auto lanes) {
                               // A subnormal scale may have been rounded down by much: the code
                               // would not fit.
                               const Vec share = load(x + i + j, lanes) / scale;
                               store(shares + j,
                                     max(splat(-kFp8Largest), min(splat(kFp8Largest), share)),
                                     lanes);
                           });
                           for (int64_t j = 0; j < count; ++j) {
                               codes[i + j] = finite ? fp8_from_float(shares[j]) : uint8_t{0};
                           }
                       }
                   });
    });
    return CP_OK;
}

CpStatus check_dequantize(const CpCall* call, CpError* error) {
    return check_groups(call, "dequantizeFp8", call->inputs[0], call->inputs[1], error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const uint8_t* codes = data<uint8_t>(call->inputs[0]);
    const float* scales = data<float>(call->inputs[1]);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    const Fp8Levels levels;
    with_dtype(output.dtype, [&](auto type) {
        auto* y = data<decltype(type)>(output);
        for_groups(*device, num_elements(output), group_size,
                   [=, &levels](int64_t group, int64_t begin, int64_t end) {
                       const Vec scale = splat(scales[group]);
                       for_lanes(end - begin, [&](int64_t i, auto lanes) {
                           const Vec number = lookup(levels.level, codes + begin + i, lanes);
                           store(y + begin + i, number * scale, lanes);
                       });
                   });
    });
    return CP_OK;
}

}  // namespace

const CpOp kQuantizeFp8Op = {"quantizeFp8", no_workspace, check_quantize, run_quantize};
const CpOp kDequantizeFp8Op = {"dequantizeFp8", no_workspace, check_dequantize, run_dequantize};

}  // namespace compact::COMPACT_ISA
