// quantizeNf4: four bits per weight with double quantisation (native/base/nf4.h); dequantizeNf4 is
// its inverse.
#include "native/backend/quantized_operands.h"
#include "native/base/bf16.h"
#include "native/cpu/quantization/decode.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"

namespace compact::COMPACT_ISA {
namespace {

// Copies `count` elements from `first` on of rows that are as long as those of the codes.
template <class T>
void copy_padded(const T* x, int64_t columns, int64_t first, int64_t count, float* values) {
    const int64_t stride = 2 * nf4_row_bytes(columns);
    for (int64_t done = 0; done < count;) {
        const int64_t row = (first + done) / stride, column = (first + done) % stride;
        const int64_t piece = std::min(columns - column, count - done);
        const T* source = x + row * columns + column;
        for_lanes(piece, [&](int64_t i, auto lanes) {
            store(values + done + i, load(source + i, lanes), lanes);
        });
        done += stride - column;
    }
}

// The largest magnitude of a block, and its codes; what is left of the block is zero.
float quantize_block(const float (&x)[kNf4Block], int64_t count, uint8_t* codes) {
    Vec largest = splat(0.0f);
    for_lanes(count,
              [&](int64_t i, auto lanes) { largest = max_magnitude(largest, load(x + i, lanes)); });
    const float magnitude = largest_magnitude(largest);
    float shares[kNf4Block] = {};
    for_lanes(count, [&](int64_t i, auto lanes) {
        store(shares + i, load(x + i, lanes) / splat(magnitude), lanes);
    });
    for (int64_t i = 0; i < count; i += 2) {
        const int first = magnitude > 0.0f ? nf4_code(shares[i], kNf4Levels) : kNf4Zero;
        const int second = magnitude > 0.0f ? nf4_code(shares[i + 1], kNf4Levels) : kNf4Zero;
        codes[i / 2] = static_cast<uint8_t>(first | second << 4);
    }
    return magnitude;
}

// Magnitudes that share a range, in codes; zero for those that are not there.
void quantize_magnitudes(const float* values, int64_t count, uint8_t* codes, float* range) {
    uint32_t smallest = 0x7fffffffu, largest = 0;  // magnitudes compare as integers, NaN above all
    for (int64_t i = 0; i < count; ++i) {
        smallest = std::min(smallest, float_bits(values[i]));
        largest = std::max(largest, float_bits(values[i]));
    }
    const Nf4Range found = nf4_range(float_from_bits(smallest), float_from_bits(largest));
    range[0] = found.smallest;
    range[1] = found.step;
    std::fill(codes + count, codes + kNf4Magnitudes, uint8_t{0});
    for_lanes(count, [&](int64_t i, auto lanes) {
        const Vec steps =
            round_even((load(values + i, lanes) - splat(found.smallest)) / splat(found.step));
        const Vec limited =
            found.step > 0.0f ? max(splat(0.0f), min(splat(255.0f), steps)) : splat(0.0f);
        float whole[kWidth];
        store(whole, limited, AllLanes{});
        for (int64_t lane = 0; lane < std::min(kWidth, count - i); ++lane) {
            codes[i + lane] = static_cast<uint8_t>(whole[lane]);
        }
    });
}

CpStatus run_quantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& input = call->inputs[0];
    uint8_t* codes = data<uint8_t>(call->outputs[0]);
    uint8_t* magnitudes = data<uint8_t>(call->outputs[1]);
    float* ranges = data<float>(call->outputs[2]);
    const int64_t columns = input.shape[1], elements = 2 * num_elements(call->outputs[0]);
    with_dtype(input.dtype, [&](auto type) {
        const auto* x = data<decltype(type)>(input);
        for_chunks(*device, elements, kNf4Span, [=](int64_t begin, int64_t end, int) {
            float values[kNf4Magnitudes];
            for (int64_t i = begin; i < end; i += kNf4Block) {
                const int64_t count = std::min(kNf4Block, end - i);
                float block[kNf4Block] = {};
                copy_padded(x, columns, i, count, block);
                values[(i - begin) / kNf4Block] = quantize_block(block, count, codes + i / 2);
            }
            quantize_magnitudes(values, num_chunks(end - begin, kNf4Block),
                                magnitudes + begin / kNf4Block, ranges + begin / kNf4Span * 2);
        });
    });
    return CP_OK;
}

CpStatus run_dequantize(CpDevice* device, const CpCall* call, CpError*) {
    const CpTensor& output = call->outputs[0];
    const QuantizedMatrix matrix = nf4_matrix(call->inputs[0], call->inputs[1], call->inputs[2]);
    const int64_t columns = output.shape[1], row_bytes = columns * dtype_bytes(output.dtype);
    char* y = data<char>(output);
    for_chunks(*device, output.shape[0], rows_per_chunk(columns),
               [=](int64_t begin, int64_t end, int) {
                   decode_block(matrix, {begin, end - begin, 0, columns}, output.dtype,
                                y + begin * row_bytes);
               });
    return CP_OK;
}

}  // namespace

const CpOp kQuantizeNf4Op = {"quantizeNf4", no_workspace, check_quantize_nf4, run_quantize};
const CpOp kDequantizeNf4Op = {"dequantizeNf4", no_workspace, check_dequantize_nf4, run_dequantize};

}  // namespace compact::COMPACT_ISA
