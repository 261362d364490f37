// dropout: keeps an element with probability 1 - p and scales it by 1 / (1 - p). No mask is stored:
// element e is kept when word e mod 4 of Philox counter e / 4 is at least p 2^32, so the op is its
// own gradient. Two accesses per element; limit: memory bandwidth.
// Srivastava et al., "Dropout", 2014.
#include <cmath>

#include "cuda/runtime/ops.h"
#include "cuda/simt/elementwise.cuh"
#include "native/backend/op_checks.h"
#include "native/base/philox.h"

namespace compact {
namespace {

struct Drop {
    uint32_t seed_low, seed_high, tensor_id, step;
    uint64_t lowest_kept;  // words from here on
    float factor;
};

template <class T>
__global__ void __launch_bounds__(kElementwiseThreads)
    dropout_kernel(const T* x, T* y, int64_t count, Drop drop) {
    const int64_t first =
        (static_cast<int64_t>(blockIdx.x) * kElementwiseThreads + threadIdx.x) * kPackSize;
    if (first >= count) return;
    const int size = pack_count(count, first);
    float values[kPackSize];
    load_pack(x + first, size, values);
    CP_UNROLL
    for (int half = 0; half < 2; ++half) {
        const uint64_t counter = static_cast<uint64_t>(first) / 4 + half;
        const PhiloxWords words =
            philox({{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                     drop.tensor_id, drop.step}},
                   drop.seed_low, drop.seed_high);
        CP_UNROLL
        for (int i = 0; i < 4; ++i) {
            float& value = values[half * 4 + i];
            // A dropped element is 0 even where x is infinite.
            value = words.word[i] >= drop.lowest_kept ? value * drop.factor : 0.0f;
        }
    }
    store_pack(y + first, size, values);
}

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const double probability = attribute(*call, "probability");
    if (!(probability >= 0.0 && probability < 1.0)) {
        Message received;
        std::snprintf(received.text, sizeof received.text, "%g", probability);
        return fail(error, "ERR_COMPACT_ARGUMENT", "dropout", "probability from 0 to below 1",
                    received.text);
    }
    const CpTensor& output = call->outputs[0];
    const int64_t count = num_elements(output);
    const Drop drop{attribute_word(*call, "seedLow"),
                    attribute_word(*call, "seedHigh"),
                    attribute_word(*call, "tensorId"),
                    attribute_word(*call, "step"),
                    static_cast<uint64_t>(std::ceil(probability * 0x1p32)),
                    static_cast<float>(1.0 / (1.0 - probability))};
    dispatch(output.dtype, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        CP_LAUNCH(dropout_kernel<T>, elementwise_grid(count), dim3(kElementwiseThreads), 0,
                  device->stream, data<const T>(call->inputs[0]), data<T>(output), count, drop);
    });
    return check_launch(*device, "dropout", error);
}

}  // namespace

const CpOp kCudaDropoutOp = {"dropout", no_workspace, nullptr, run};

}  // namespace compact
