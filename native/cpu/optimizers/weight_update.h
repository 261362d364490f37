// What the optimizers share: the clipping factor, the step along a direction, and the store of a
// new weight with nearest or stochastic rounding.
#pragma once

#include <type_traits>

#include "native/base/stochastic_rounding.h"
#include "native/cpu/simd/loops.h"
#include "native/cpu/simd/random_words.h"

namespace compact::COMPACT_ISA {

// The factor on every gradient: one fp32, or 1 when the input is absent.
inline float gradient_scale(const CpTensor& input) {
    return input.data == nullptr ? 1.0f : *data<float>(input);
}

// How far a weight moves.
struct StepSize {
    Vec keep;  // 1 - learning rate * weight decay
    Vec rate;
};

// Products and differences are taken in fp64, as 1 - 1e-9 in fp32 would be 1.
inline StepSize step_size(const CpCall& call, double update_scale) {
    const double learning_rate = attribute(call, "learningRate");
    return {splat(static_cast<float>(1.0 - learning_rate * attribute(call, "weightDecay"))),
            splat(static_cast<float>(learning_rate * update_scale))};
}

inline Vec stepped(Vec weight, Vec direction, const StepSize& size) {
    return weight * size.keep - size.rate * direction;
}

inline constexpr int64_t kRoundingPiece = 1024;  // columns whose random numbers are made at a time

// Random numbers for columns [column, column + count) of a row; returns the first one's place.
inline const uint16_t* rounding_halves(const RoundingKey& key, int64_t row, int64_t column,
                                       int64_t count, uint32_t* words) {
    const int64_t group = column / 8;
    const int64_t groups = (column + count + 7) / 8 - group;
    random_words({{static_cast<uint32_t>(group), static_cast<uint32_t>(row),
                   key.tensor_id | kRoundingStream, key.step}},
                 key.seed, 0, groups, words);
    return reinterpret_cast<const uint16_t*>(words) + column % 8;
}

// The store of new weights, rounded to nearest or stochastically.
template <class W>
class WeightStore {
  public:
    explicit WeightStore(const CpCall& call) {
        const CpTensor& weight = call.outputs[0];
        weight_ = data<W>(weight);
        if constexpr (std::is_same_v<W, BFloat16>) {
            if (attribute(call, "stochasticRounding") == 0.0) return;
            columns_ = weight.num_dims > 0 ? weight.shape[weight.num_dims - 1] : 1;
            key_ = {attribute_word(call, "roundingSeed"), attribute_word(call, "tensorId"),
                    attribute_word(call, "step")};
        }
    }

    // Stores new_weight(i, lanes) for every element from begin to end. The function may store other
    // things of the same elements (moments); it reads before anything of these elements is written.
    template <class NewWeight>
    void update(int64_t begin, int64_t end, NewWeight new_weight) const {
        if constexpr (std::is_same_v<W, BFloat16>) {
            if (columns_ > 0) return update_stochastically(begin, end, new_weight);
        }
        for_lanes(end - begin, [&](int64_t i, auto lanes) {
            store(weight_ + begin + i, new_weight(begin + i, lanes), lanes);
        });
    }

  private:
    template <class NewWeight>
    void update_stochastically(int64_t begin, int64_t end, NewWeight new_weight) const {
        // Room for a piece that starts within a group, in whole blocks, plus one vector.
        uint32_t words[kRoundingPiece / 2 + 8 * kPhiloxBlock];
        while (begin < end) {
            const int64_t row = begin / columns_, column = begin % columns_;
            const int64_t size = std::min({kRoundingPiece, end - begin, columns_ - column});
            const uint16_t* random = rounding_halves(key_, row, column, size, words);
            for_lanes(size, [&](int64_t i, auto lanes) {
                store_stochastic(weight_ + begin + i, new_weight(begin + i, lanes), random + i,
                                 lanes);
            });
            begin += size;
        }
    }

    W* weight_;
    int64_t columns_ = 0;  // where rounding is stochastic
    RoundingKey key_{};
};

// Stores new_weight(i, lanes) for every element, in parallel.
template <class W, class NewWeight>
inline void update_weight(CpDevice& device, const CpCall& call, NewWeight new_weight) {
    const WeightStore<W> weight(call);
    for_chunks(device, num_elements(call.outputs[0]), kChunkElements,
               [&](int64_t begin, int64_t end, int) { weight.update(begin, end, new_weight); });
}

}  // namespace compact::COMPACT_ISA
