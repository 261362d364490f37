// segments: in which of four segments an element lies, in two bits (native/base/segments.h);
// segmentsBackward: dx = dy times the slope of the segment.
#include "native/backend/segment_operands.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

static_assert(kWidth % kSegmentsPerByte == 0 && kChunkElements % kSegmentsPerByte == 0);

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_segments("segments", call->outputs[0], call->inputs[0], error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    uint8_t* codes = data<uint8_t>(call->outputs[0]);
    const SegmentThresholds given(*call);
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_elements(*device, num_elements(input), [=](int64_t i, auto lanes) {
            const Vec value = load(x + i, lanes);
            Vec segment = splat(0.0f);
            for (float threshold : given.threshold) {
                const Mask above = less(splat(threshold), value);
                segment = segment + select(above, splat(1.0f), splat(0.0f));
            }
            uint8_t numbers[kWidth] = {};
            store(numbers, segment, lanes);
            for (int64_t first = 0; first < kWidth; first += kSegmentsPerByte) {
                if constexpr (std::is_same_v<decltype(lanes), FirstLanes>) {
                    if (first >= lanes.count) break;
                }
                const uint8_t* four = numbers + first;
                codes[(i + first) / kSegmentsPerByte] =
                    static_cast<uint8_t>(four[0] | four[1] << 2 | four[2] << 4 | four[3] << 6);
            }
        });
    });
    return CP_OK;
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_segments("segmentsBackward", call->inputs[0], call->inputs[1], error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const uint8_t* codes = data<uint8_t>(call->inputs[0]);
    const int64_t bytes = segment_bytes(num_elements(output));
    const SegmentSlopes given(*call);
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* dy = data<T>(call->inputs[1]);
        T* dx = data<T>(output);
        for_elements(*device, num_elements(output), [=](int64_t i, auto lanes) {
            const int64_t first = i / kSegmentsPerByte;
            float slopes[kWidth] = {};
            for (int64_t j = 0; j < kWidth / kSegmentsPerByte && first + j < bytes; ++j) {
                for (int k = 0; k < kSegmentsPerByte; ++k) {
                    slopes[kSegmentsPerByte * j + k] = given.slope[segment_in(codes[first + j], k)];
                }
            }
            store(dx + i, load(dy + i, lanes) * load(slopes, AllLanes{}), lanes);
        });
    });
    return CP_OK;
}

}  // namespace

const CpOp kSegmentsOp = {"segments", no_workspace, check_forward, run_forward};
const CpOp kSegmentsBackwardOp = {"segmentsBackward", no_workspace, check_backward, run_backward};

}  // namespace compact::COMPACT_ISA
