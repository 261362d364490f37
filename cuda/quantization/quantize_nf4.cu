// quantizeNf4: four bits per weight with double quantisation (native/base/nf4.h); dequantizeNf4 is
// its inverse.
//
// One access per weight, half a byte per code (x is read a second time from the cache); limit:
// memory bandwidth.
#include "cuda/quantization/decode.cuh"
#include "cuda/runtime/ops.h"
#include "cuda/simt/block_reduce.cuh"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/quantized_operands.h"

namespace compact {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads == kNf4Magnitudes && kNf4Block == 64);

// Magnitudes compare as integers, with infinity and then NaN above everything.
template <class T>
__device__ __forceinline__ uint32_t magnitude_bits(const T* x) {
    return float_bits(load_element(x)) & 0x7fffffffu;
}

__device__ __forceinline__ int code_of(float x, float magnitude, const Nf4Levels& levels) {
    return magnitude > 0.0f ? nf4_code(x / magnitude, levels) : kNf4Zero;
}

// A block of threads for all weights that share a range, a warp at a time for those that share a
// magnitude: two neighbours a lane.
template <class T>
__global__ void __launch_bounds__(kThreads)
    quantize_kernel(const T* __restrict__ x, uint8_t* __restrict__ codes,
                    uint8_t* __restrict__ magnitudes, float* __restrict__ ranges, int64_t columns,
                    int64_t elements) {
    CP_SHARED(Nf4Levels, levels);
    CP_SHARED(float[kNf4Magnitudes], values);
    CP_SHARED(uint32_t[kMaxWarps], scratch);
    load_nf4_levels(&levels);
    const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * kNf4Span;
    const int64_t left = elements - begin < kNf4Span ? elements - begin : kNf4Span;
    const int64_t stride = (columns + 1) / 2 * 2;
    const int blocks = static_cast<int>((left + kNf4Block - 1) / kNf4Block);
    for (int block = warp; block < blocks; block += kThreads / 32) {
        const int64_t i = block * kNf4Block + 2 * lane;
        const bool inside = i < left;  // elements are even
        const int64_t row = (begin + i) / stride, column = (begin + i) % stride;
        const bool is_pair = column + 1 < columns;  // else the end of an odd row, and a zero
        const T* pair = x + row * columns + column;
        uint32_t largest = inside ? magnitude_bits(pair) : 0u;
        largest = Maximum{}(largest, inside && is_pair ? magnitude_bits(pair + 1) : 0u);
        const float magnitude = float_from_bits(warp_reduce(largest, Maximum{}));
        if (lane == 0) values[block] = magnitude;
        if (!inside) continue;
        const int first = code_of(load_element(pair), magnitude, levels);
        const int second = is_pair ? code_of(load_element(pair + 1), magnitude, levels) : kNf4Zero;
        codes[(begin + i) / 2] = static_cast<uint8_t>(first | second << 4);
    }
    __syncthreads();
    const uint32_t own = thread < blocks ? float_bits(values[thread]) : 0u;
    const uint32_t largest = block_reduce(own, Maximum{}, scratch);
    const uint32_t below = thread < blocks ? 0x7fffffffu - own : 0u;
    const uint32_t smallest = 0x7fffffffu - block_reduce(below, Maximum{}, scratch);
    const Nf4Range range = nf4_range(float_from_bits(smallest), float_from_bits(largest));
    if (thread == 0) {
        ranges[2 * blockIdx.x] = range.smallest;
        ranges[2 * blockIdx.x + 1] = range.step;
    }
    const float steps = rintf((float_from_bits(own) - range.smallest) / range.step);
    const float limited = fminf(fmaxf(steps, 0.0f), 255.0f);
    magnitudes[begin / kNf4Block + thread] = thread < blocks && range.step > 0.0f
                                                 ? static_cast<uint8_t>(limited)
                                                 : uint8_t{0};  // also of blocks that are not there
}

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    dequantize_kernel(QuantizedMatrix matrix, T* __restrict__ y, int64_t rows, int64_t columns) {
    CP_SHARED(Nf4Levels, levels);
    load_nf4_levels(&levels);
    const int64_t row_packs = (columns + kPackSize - 1) / kPackSize;
    const int64_t pack = static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x;
    const int64_t row = pack / row_packs, column = pack % row_packs * kPackSize;
    if (row >= rows) return;
    const int count = pack_count(columns, column);
    float values[kPackSize];
    decode_pack(matrix, row * matrix.stride + column, count, levels, values);
    store_pack(y + row * columns + column, count, values);
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& input = call->inputs[0];
    const int64_t elements = 2 * num_elements(call->outputs[0]);
    dispatch(input.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(quantize_kernel<T>, dim3(static_cast<unsigned>(ceil_div(elements, kNf4Span))),
                  dim3(kThreads), 0, device->stream, data<const T>(input),
                  data<uint8_t>(call->outputs[0]), data<uint8_t>(call->outputs[1]),
                  data<float>(call->outputs[2]), input.shape[1], elements);
    });
    return check_launch(*device, "quantizeNf4", error);
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError* error) {
    const CpTensor& output = call->outputs[0];
    const QuantizedMatrix matrix = nf4_matrix(call->inputs[0], call->inputs[1], call->inputs[2]);
    const int64_t rows = output.shape[0], columns = output.shape[1];
    const int64_t packs = rows * ceil_div(columns, kPackSize);
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(dequantize_kernel<T>, elementwise_grid(packs * kPackSize),
                  dim3(kElementwiseThreads), 0, device->stream, matrix, data<T>(output), rows,
                  columns);
    });
    return check_launch(*device, "dequantizeNf4", error);
}

}  // namespace

const CpOp kCudaQuantizeNf4Op = {"quantizeNf4", no_workspace, check_quantize_nf4, run_quantize};
const CpOp kCudaDequantizeNf4Op = {"dequantizeNf4", no_workspace, check_dequantize_nf4,
                                   run_dequantize};

}  // namespace compact
