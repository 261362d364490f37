// What the optimizers share: settings of Adam, the clipping factor, the step along a direction, and
// the store of new weights with nearest or stochastic rounding.
#pragma once

#include <cmath>

#include "cuda/runtime/device.h"
#include "cuda/simt/divisor.h"
#include "cuda/simt/pack.cuh"
#include "native/base/adam.h"
#include "native/base/stochastic_rounding.h"

namespace compact {

// Differences from 1 are taken in fp64: 1 - 0.999 in fp32 would be off by 1e-5 of itself.
inline AdamFactors<float> adam_factors(double beta1, double beta2, double epsilon,
                                       double first_moment_step, double second_moment_step) {
    const auto narrow = [](double x) { return static_cast<float>(x); };
    return {narrow(beta1),
            narrow(1.0 - beta1),
            narrow(beta2),
            narrow(1.0 - beta2),
            narrow(1.0 / (1.0 - std::pow(beta1, first_moment_step))),
            narrow(1.0 / (1.0 - std::pow(beta2, second_moment_step))),
            narrow(epsilon)};
}

// The factor on every gradient: one fp32, or 1 when the input is absent.
__device__ __forceinline__ float gradient_scale(const float* scale) {
    return scale == nullptr ? 1.0f : *scale;
}

// How far a weight moves.
struct StepSize {
    float keep;  // 1 - learning rate * weight decay
    float rate;
};

// Products and differences are taken in fp64, as 1 - 1e-9 in fp32 would be 1.
inline StepSize step_size(const CpCall& call, double update_scale) {
    const double learning_rate = attribute(call, "learningRate");
    return {static_cast<float>(1.0 - learning_rate * attribute(call, "weightDecay")),
            static_cast<float>(learning_rate * update_scale)};
}

__device__ __forceinline__ float stepped(float weight, float direction, const StepSize& size) {
    return weight * size.keep - size.rate * direction;
}

// The 16 random bits of one column among those of its group.
__device__ __forceinline__ uint16_t rounding_half(const PhiloxWords& words, int64_t column) {
    // Selected by comparisons: an indexed array would live in local memory.
    const uint32_t low = (column & 2) != 0 ? words.word[1] : words.word[0];
    const uint32_t high = (column & 2) != 0 ? words.word[3] : words.word[2];
    const uint32_t word = (column & 4) != 0 ? high : low;
    return static_cast<uint16_t>((column & 1) != 0 ? word >> 16 : word);
}

// A weight (rows, columns) as the optimizers see it: a pack at a time, in the order of memory.
// Packs of rows that are whole packs have 32-bit numbers: up to 2^35 elements.
struct WeightStore {
    AnyTensor weight;
    int64_t columns;
    Divisor packs;  // of a row, where rows are whole packs
    bool stochastic;
    RoundingKey key;

    explicit WeightStore(const CpCall& call)
        : weight(call.outputs[0]),
          columns(weight_columns(call.outputs[0])),
          packs(columns % kPackSize == 0 ? columns / kPackSize : 1),
          stochastic(weight.dtype == CP_BF16 && attribute(call, "stochasticRounding") != 0.0),
          key{attribute_word(call, "roundingSeed"), attribute_word(call, "tensorId"),
              attribute_word(call, "step")} {}

    static int64_t weight_columns(const CpTensor& tensor) {
        return tensor.num_dims > 0 ? tensor.shape[tensor.num_dims - 1] : 1;
    }

    __device__ __forceinline__ void store(int64_t first, int count,
                                          float (&values)[kPackSize]) const {
        if (stochastic) round(first, count, values);
        weight.store(first, count, values);
    }

    // To numbers that a bf16 holds exactly.
    __device__ __forceinline__ void round(int64_t first, int count,
                                          float (&values)[kPackSize]) const {
        if (columns % kPackSize == 0) {
            // The pack is one group of the random numbers.
            const auto pack = static_cast<uint32_t>(first / kPackSize);
            const PhiloxWords words =
                rounding_words(key, packs.quotient(pack), packs.remainder(pack));
            CP_UNROLL
            for (int i = 0; i < kPackSize; ++i) {
                values[i] = bf16_to_float(bf16_stochastic(values[i], philox_half(words, i)));
            }
            return;
        }
        const int64_t row = first / columns, column = first % columns;
        CP_UNROLL
        for (int i = 0; i < kPackSize; ++i) {
            if (i >= count) continue;
            const int64_t at = column + i;
            const int64_t own_row = row + at / columns, own_column = at % columns;
            const PhiloxWords words = rounding_words(key, static_cast<uint32_t>(own_row),
                                                     static_cast<uint32_t>(own_column >> 3));
            values[i] = bf16_to_float(bf16_stochastic(values[i], rounding_half(words, own_column)));
        }
    }
};

}  // namespace compact
