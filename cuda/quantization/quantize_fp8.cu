// quantizeFp8: per group of groupSize consecutive elements scale = max|x| / 448 and codes of the
// nearest eight-bit floats to x / scale (native/base/fp8.h); dequantizeFp8: y = float scale. Groups
// of zeros, and those with NaN or infinity, are as of `quantize`.
//
// One access per element, one byte per code (x is read a second time from the cache); limit: memory
// bandwidth.
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/op_checks.h"
#include "native/base/fp8.h"

namespace compact {
namespace {

constexpr int kGroupsPerBlock = 8;  // a warp each

template <class T>
__global__ void __launch_bounds__(32 * kGroupsPerBlock)
    quantize_kernel(const T* __restrict__ x, uint8_t* __restrict__ codes,
                    float* __restrict__ scales, int64_t count, int64_t group_size) {
    const int64_t group = static_cast<int64_t>(blockIdx.x) * kGroupsPerBlock + threadIdx.x / 32;
    const int64_t begin = group * group_size;
    if (begin >= count) return;
    const int64_t end = begin + group_size < count ? begin + group_size : count;
    const int64_t first = begin + threadIdx.x % 32;
    // Magnitudes compare as integers, with infinity and then NaN above everything.
    uint32_t largest = 0;
    for (int64_t i = first; i < end; i += 32) {
        largest = Maximum{}(largest, float_bits(load_element(x + i)) & 0x7fffffffu);
    }
    const float scale = float_from_bits(warp_reduce(largest, Maximum{})) / kFp8Largest;
    if (threadIdx.x % 32 == 0) scales[group] = scale;
    const bool finite = scale > 0.0f && scale < INFINITY;
    for (int64_t i = first; i < end; i += 32) {
        // A subnormal scale may have been rounded down by much: the code would not fit.
        const float share = fminf(fmaxf(load_element(x + i) / scale, -kFp8Largest), kFp8Largest);
        codes[i] = finite ? fp8_from_float(share) : uint8_t{0};
    }
}

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    dequantize_kernel(const uint8_t* __restrict__ codes, const float* __restrict__ scales,
                      T* __restrict__ y, int64_t count, int64_t group_size) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    int64_t group = first / group_size, rest = first % group_size;
    float values[kPackSize] = {};
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        if (i < size) values[i] = fp8_to_float(codes[first + i]) * scales[group];
        if (++rest == group_size) {
            rest = 0;
            ++group;
        }
    }
    store_pack(y + first, size, values);
}

CpStatus check_quantize(const CpCall* call, CpError* error) {
    return check_groups(call, "quantizeFp8", call->inputs[0], call->outputs[1], error);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t count = num_elements(input);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    const int64_t blocks = ceil_div(ceil_div(count, group_size), kGroupsPerBlock);
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(quantize_kernel<T>, dim3(static_cast<unsigned>(blocks)),
                  dim3(32 * kGroupsPerBlock), 0, device->stream, data<const T>(input),
                  data<uint8_t>(call->outputs[0]), data<float>(call->outputs[1]), count,
                  group_size);
    });
    return check_launch(*device, "quantizeFp8", error);
}

CpStatus check_dequantize(const CpCall* call, CpError* error) {
    return check_groups(call, "dequantizeFp8", call->inputs[0], call->inputs[1], error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const int64_t count = num_elements(output);
    const int64_t group_size = static_cast<int64_t>(attribute(*call, "groupSize"));
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(dequantize_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<const uint8_t>(call->inputs[0]),
                  data<const float>(call->inputs[1]), data<T>(output), count, group_size);
    });
    return check_launch(*device, "dequantizeFp8", error);
}

}  // namespace

const CpOp kCudaQuantizeFp8Op = {"quantizeFp8", no_workspace, check_quantize, run_quantize};
const CpOp kCudaDequantizeFp8Op = {"dequantizeFp8", no_workspace, check_dequantize, run_dequantize};

}  // namespace compact
