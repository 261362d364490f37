// segments: in which of four segments an element lies, in two bits (native/base/segments.h);
// segmentsBackward: dx = dy times the slope of the segment.
//
// One and two accesses per element, a quarter of a byte per code; limit: memory bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/segment_operands.h"

namespace compact {
namespace {

constexpr int kBytesPerPack = kPackSize / static_cast<int>(kSegmentsPerByte);

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    segments_kernel(const T* __restrict__ x, uint8_t* __restrict__ codes, int64_t count,
                    SegmentThresholds given) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    float values[kPackSize];
    load_pack(x + first, size, values);
    CP_UNROLL
    for (int byte = 0; byte < kBytesPerPack; ++byte) {
        int packed = 0;
        CP_UNROLL
        for (int k = 0; k < kSegmentsPerByte; ++k) {
            const int i = byte * static_cast<int>(kSegmentsPerByte) + k;
            if (i < size) packed |= segment_of(values[i], given.threshold) << (2 * k);
        }
        if (byte * kSegmentsPerByte < size) {
            codes[first / kSegmentsPerByte + byte] = static_cast<uint8_t>(packed);
        }
    }
}

// An output may be the input: a thread reads its elements before it writes them.
template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    segments_backward_kernel(const uint8_t* __restrict__ codes, const T* dy, T* dx, int64_t count,
                             SegmentSlopes given) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    float values[kPackSize];
    load_pack(dy + first, size, values);
    CP_UNROLL
    for (int byte = 0; byte < kBytesPerPack; ++byte) {
        if (byte * kSegmentsPerByte >= size) break;
        const uint8_t packed = codes[first / kSegmentsPerByte + byte];
        CP_UNROLL
        for (int k = 0; k < kSegmentsPerByte; ++k) {
            const int segment = segment_in(packed, k);
            const float slope = segment < 2 ? (segment == 0 ? given.slope[0] : given.slope[1])
                                            : (segment == 2 ? given.slope[2] : given.slope[3]);
            values[byte * static_cast<int>(kSegmentsPerByte) + k] *= slope;
        }
    }
    store_pack(dx + first, size, values);
}

CpStatus check_forward(const CpCall* call, CpError* error) {
    return check_segments("segments", call->outputs[0], call->inputs[0], error);
}

CpStatus run_forward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t count = num_elements(input);
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(segments_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<const T>(input), data<uint8_t>(call->outputs[0]), count,
                  SegmentThresholds(*call));
    });
    return check_launch(*device, "segments", error);
}

CpStatus check_backward(const CpCall* call, CpError* error) {
    return check_segments("segmentsBackward", call->inputs[0], call->inputs[1], error);
}

CpStatus run_backward(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t count = num_elements(output);
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(segments_backward_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads),
                  0, device->stream, data<const uint8_t>(call->inputs[0]),
                  data<const T>(call->inputs[1]), data<T>(output), count, SegmentSlopes(*call));
    });
    return check_launch(*device, "segmentsBackward", error);
}

}  // namespace

const CpOp kCudaSegmentsOp = {"segments", no_workspace, check_forward, run_forward};
const CpOp kCudaSegmentsBackwardOp = {"segmentsBackward", no_workspace, check_backward,
                                      run_backward};

}  // namespace compact
