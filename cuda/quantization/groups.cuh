// Groups of consecutive elements that share a scale, as eight-bit codes. A format has the type of
// its codes, the largest number that one stands for, and both ways:
//
//   struct Format { using Code; static constexpr float kLargest;
//                   static Code encode(float share); static float decode(Code code); };
//
// scale = max|x| / kLargest, codes those nearest to x / scale. A group of zeros has scale 0; a
// group with NaN or infinity has that scale, so that it does not come back finite by accident.
//
// One access per element, one byte per code (x is read a second time from the cache); limit: memory
// bandwidth.
#pragma once

#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/op_checks.h"

namespace compact {

inline constexpr int kGroupsPerBlock = 8;  // a warp each

template <class Format, class T>
__global__ void __launch_bounds__(32 * kGroupsPerBlock)
    quantize_kernel(const T* __restrict__ x, typename Format::Code* __restrict__ codes,
                    float* __restrict__ scales, int64_t count, int64_t group_size) {
    constexpr float kLargest = Format::kLargest;
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
    const float scale = float_from_bits(warp_reduce(largest, Maximum{})) / kLargest;
    if (threadIdx.x % 32 == 0) scales[group] = scale;
    const bool finite = scale > 0.0f && scale < INFINITY;
    for (int64_t i = first; i < end; i += 32) {
        // A subnormal scale may have been rounded down by much: the code would not fit.
        const float share = fminf(fmaxf(load_element(x + i) / scale, -kLargest), kLargest);
        codes[i] = finite ? Format::encode(share) : typename Format::Code{0};
    }
}

template <class Format, class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    dequantize_kernel(const typename Format::Code* __restrict__ codes,
                      const float* __restrict__ scales, T* __restrict__ y, int64_t count,
                      int64_t group_size) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    int64_t group = first / group_size, rest = first % group_size;
    float values[kPackSize] = {};
    CP_UNROLL
    for (int i = 0; i < kPackSize; ++i) {
        if (i < size) values[i] = Format::decode(codes[first + i]) * scales[group];
        if (++rest == group_size) {
            rest = 0;
            ++group;
        }
    }
    store_pack(y + first, size, values);
}

// codes, scales = x
template <class Format>
CpStatus quantize_groups(CpDevice& device, const char* op, const CpCall& call, CpError* error) {
    const CpTensor& input = call.inputs[0];
    const int64_t count = num_elements(input);
    const int64_t group_size = static_cast<int64_t>(attribute(call, "groupSize"));
    const int64_t blocks = ceil_div(ceil_div(count, group_size), kGroupsPerBlock);
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const auto kernel = quantize_kernel<Format, T>;
        CP_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(32 * kGroupsPerBlock), 0,
                  device.stream, data<const T>(input), data<typename Format::Code>(call.outputs[0]),
                  data<float>(call.outputs[1]), count, group_size);
    });
    return check_launch(device, op, error);
}

// y = codes, scales
template <class Format>
CpStatus dequantize_groups(CpDevice& device, const char* op, const CpCall& call, CpError* error) {
    const CpTensor& output = call.outputs[0];
    const int64_t count = num_elements(output);
    const int64_t group_size = static_cast<int64_t>(attribute(call, "groupSize"));
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const auto kernel = dequantize_kernel<Format, T>;
        CP_LAUNCH(kernel, elementwise_grid(count), dim3(kElementwiseThreads), 0, device.stream,
                  data<const typename Format::Code>(call.inputs[0]),
                  data<const float>(call.inputs[1]), data<T>(output), count, group_size);
    });
    return check_launch(device, op, error);
}

}  // namespace compact
