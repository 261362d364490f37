// dropout: keeps an element with probability 1 - p and scales it by 1 / (1 - p). No mask is stored:
// element e is kept when word e mod 4 of Philox counter e / 4 is at least p 2^32, so the op is its
// own gradient.
// Srivastava et al., "Dropout", 2014.
#include "native/backend/op_checks.h"
#include "native/cpu/runtime/ops.h"
#include "native/cpu/simd/loops.h"
#include "native/cpu/simd/random_words.h"

namespace compact::COMPACT_ISA {
namespace {

constexpr int64_t kPiece = 1024;  // elements whose random words are made at a time

CpStatus run(CpDevice* device, const CpCall* call, CpError* error) {
    const double probability = attribute(*call, "probability");
    if (!(probability >= 0.0 && probability < 1.0)) {
        Message received;
        std::snprintf(received.text, sizeof received.text, "%g", probability);
        return fail(error, "ERR_COMPACT_ARGUMENT", "dropout", "probability from 0 to below 1",
                    received.text);
    }
    const CpTensor& output = call->outputs[0];
    const float factor = static_cast<float>(1.0 / (1.0 - probability));
    const uint32_t seed_low = static_cast<uint32_t>(attribute(*call, "seedLow"));
    const uint32_t seed_high = static_cast<uint32_t>(attribute(*call, "seedHigh"));
    const uint32_t tensor_id = static_cast<uint32_t>(attribute(*call, "tensorId"));
    const uint32_t step = static_cast<uint32_t>(attribute(*call, "step"));
    // A word below the threshold is one up to this; with probability 0 there is none.
    const bool drops = probability > 0.0;
    const uint32_t highest_dropped =
        drops ? static_cast<uint32_t>(std::ceil(probability * 0x1p32) - 1.0) : 0;
    with_dtype(output.dtype, [&](auto type) {
        using T = decltype(type);
        const T* x = data<T>(call->inputs[0]);
        T* y = data<T>(output);
        const auto piece = [=](int64_t begin, int64_t end) {
            uint32_t words[kPiece];
            float factors[kPiece];
            const uint64_t counter = static_cast<uint64_t>(begin) / 4;
            random_words({{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                           tensor_id, step}},
                         seed_low, seed_high, (end - begin + 3) / 4, words);
            for (int64_t i = 0; i < end - begin; ++i) {
                factors[i] = drops && words[i] <= highest_dropped ? 0.0f : factor;
            }
            for_lanes(end - begin, [&](int64_t i, auto lanes) {
                const Vec scale = load(factors + i, lanes);
                const Vec kept = load(x + begin + i, lanes) * scale;
                // A dropped element is 0 even where x is infinite.
                store(y + begin + i, select(equal(scale, splat(0.0f)), scale, kept), lanes);
            });
        };
        for_chunks(*device, num_elements(output), kChunkElements,
                   [=](int64_t begin, int64_t end, int) {
                       for (; begin < end; begin += kPiece) {
                           piece(begin, std::min(end, begin + kPiece));
                       }
                   });
    });
    return CP_OK;
}

}  // namespace

const CpOp kDropoutOp = {"dropout", no_workspace, nullptr, run};

}  // namespace compact::COMPACT_ISA
